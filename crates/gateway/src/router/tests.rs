//! Which name leads where.

use std::sync::Mutex;

use super::*;

/// Notes what it is asked for and refuses it.
#[derive(Default)]
struct Probe(Mutex<Vec<String>>);

impl Backend for Probe {
    fn models(&self) -> Vec<Model> {
        Vec::new()
    }

    fn start(&self, request: ChatRequest) -> BoxFuture<Result<PassageStream, Refusal>> {
        self.0.lock().expect("no test panics with it").push(request.model);
        Box::pin(std::future::ready(Err(Refusal::busy(std::time::Duration::ZERO))))
    }
}

/// The status of a request for this model, and what the backends were asked for.
async fn ask(router: &Router, probes: &[&Probe], model: &str) -> (u16, Vec<Vec<String>>) {
    let request = ChatRequest {
        model: model.to_owned(),
        ..ChatRequest::default()
    };
    let refusal = router
        .start(request)
        .await
        .err()
        .expect("a probe refuses everything");
    let asked = probes
        .iter()
        .map(|probe| std::mem::take(&mut *probe.0.lock().expect("as above")))
        .collect();
    (refusal.status(), asked)
}

#[tokio::test]
async fn names() {
    let (local, far) = (Arc::new(Probe::default()), Arc::new(Probe::default()));
    let router = Router::builder()
        .model("local/smollm2", Arc::clone(&local) as _)
        .endpoint("openai", Arc::clone(&far) as _)
        .alias("smart", "openai/gpt-5")
        .alias("smarter", "smart")
        .alias("openai/old", "local/smollm2")
        .default_model("local/smollm2")
        .build()
        .expect("every alias leads somewhere");
    let table = [
        ("local/smollm2", Some((0, "smollm2"))),
        ("smollm2", Some((0, "smollm2"))),
        ("", Some((0, "smollm2"))),
        ("gpt-3.5-turbo", Some((0, "smollm2"))),
        ("openai/gpt-5", Some((1, "gpt-5"))),
        ("openai/org/model", Some((1, "org/model"))),
        ("smart", Some((1, "gpt-5"))),
        ("smarter", Some((1, "gpt-5"))),
        ("openai/old", Some((0, "smollm2"))),
        ("openai/", None),
        ("openai", None),
        ("local/other", None),
        ("gpt-4", None),
        ("Smart", None),
    ];
    for (name, expected) in table {
        let (status, asked) = ask(&router, &[&local, &far], name).await;
        let mut wanted = vec![Vec::new(), Vec::new()];
        if let Some((backend, model)) = expected {
            wanted[backend].push(model.to_owned());
        }
        assert_eq!(
            (status, asked),
            (if expected.is_some() { 503 } else { 404 }, wanted),
            "{name:?}"
        );
        assert_eq!(
            router.model(name).is_some(),
            expected.is_some() && !name.is_empty(),
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn an_unknown_name_is_told_the_known_ones() {
    let router = Router::builder()
        .model("local/smollm2", Arc::new(Probe::default()))
        .endpoint("openai", Arc::new(Probe::default()))
        .alias("smart", "openai/gpt-5")
        .build()
        .expect("every alias leads somewhere");
    let request = ChatRequest {
        model: "gpt-9".to_owned(),
        ..ChatRequest::default()
    };
    let refusal = router.start(request).await.err().expect("nobody has it");
    let message = &refusal.body().message;
    for name in ["'gpt-9'", "local/smollm2", "openai/MODEL", "smart"] {
        assert!(message.contains(name), "{name} is not in {message}");
    }
    assert_eq!(refusal.body().code.as_deref(), Some("model_not_found"));
    assert_eq!(refusal.body().param.as_deref(), Some("model"));
}

#[tokio::test]
async fn without_a_default_a_model_has_to_be_named() {
    let router = Router::builder().build().expect("nothing can be wrong");
    assert_eq!(ask(&router, &[], "").await.0, 400);
    assert_eq!(ask(&router, &[], "gpt-3.5-turbo").await.0, 404);
}

#[test]
fn an_alias_of_one_s_own_wins_over_the_common_name() {
    let router = Router::builder()
        .endpoint("a", Arc::new(Probe::default()))
        .alias("gpt-3.5-turbo", "a/theirs")
        .default_model("a/ours")
        .build()
        .expect("every alias leads somewhere");
    assert_eq!(
        router
            .resolve("gpt-3.5-turbo")
            .map(|target| target.model)
            .as_deref(),
        Some("theirs")
    );
    assert_eq!(
        router.resolve("").map(|target| target.model).as_deref(),
        Some("ours")
    );
}

#[test]
fn aliases_that_lead_nowhere_are_found() {
    let dead = Router::builder()
        .alias("a", "b")
        .build()
        .expect_err("there is no b");
    assert_eq!(
        dead.to_string(),
        r#"the model name "a" leads to "b", which is no model of this server"#
    );
    let circle = Router::builder()
        .alias("a", "b")
        .alias("b", "a")
        .build()
        .expect_err("they lead to each other");
    assert!(
        circle.to_string().ends_with("which leads back to itself"),
        "{circle}"
    );
    assert!(Router::builder().default_model("x/y").build().is_err());
}
