//! Files that are whole, kept beside, written through and fought over.

use super::*;

/// A folder that is removed with its value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("aurora-partial-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_complete_file_takes_its_place_and_ends_with_a_line_feed() {
    let folder = Folder::new("complete");
    let target = folder.0.join("a.py");
    fs::write(&target, "old").unwrap();
    let mut file = Partial::open(&target).unwrap();
    file.write("one\ntw").unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "old", "not before the end");
    file.write("o").unwrap();
    assert_eq!((file.lines(), file.bytes()), (2, 7));
    let told = file.finish(Verdict::Complete).unwrap();
    assert!(told.ends_with("a.py: 2 lines, 8 bytes"), "{told}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "one\ntwo\n");
    assert_eq!(folder.names(), ["a.py"]);
}

#[test]
fn an_incomplete_one_is_kept_beside_and_nothing_leaves_nothing() {
    let folder = Folder::new("incomplete");
    let target = folder.0.join("a.py");
    drop(Partial::open(&target).unwrap());
    let untouched = Partial::open(&target).unwrap();
    untouched.finish(Verdict::Cancelled).unwrap();
    assert!(folder.names().is_empty());

    let mut file = Partial::open(&target).unwrap();
    file.write("half").unwrap();
    let told = file.finish(Verdict::Length).unwrap();
    assert!(told.contains("a.py.partial"), "{told}");
    drop(Partial::open(&target).unwrap());
    assert_eq!(folder.names(), ["a.py.partial"]);
    assert_eq!(
        fs::read_to_string(folder.0.join("a.py.partial")).unwrap(),
        "half",
        "kept until there is something new"
    );
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_a_script_stays_executable() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = Folder::new("link");
    let (target, link) = (folder.0.join("run.sh"), folder.0.join("link"));
    fs::write(&target, "old").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
    symlink(&target, &link).unwrap();
    let mut file = Partial::open(&link).unwrap();
    file.write("new\n").unwrap();
    file.finish(Verdict::Complete).unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), target);
    assert_eq!(fs::read_to_string(&target).unwrap(), "new\n");
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn a_folder_and_a_missing_one_are_refused() {
    let folder = Folder::new("refused");
    for target in [folder.0.clone(), folder.0.join("none/a.py")] {
        let problem = Partial::open(&target).unwrap_err();
        assert_eq!(problem.exit_code(), 2, "{problem}");
    }
}

#[test]
fn nothing_to_write_leaves_a_complete_file_as_it_was() {
    let folder = Folder::new("nothing");
    let target = folder.0.join("a.py");
    fs::write(&target, "precious").unwrap();
    let file = Partial::open(&target).unwrap();
    assert!(file.replaces());
    let told = file.finish(Verdict::Complete).unwrap();
    assert!(told.contains("left as it was"), "{told}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert_eq!(folder.names(), ["a.py"]);
}

#[test]
fn two_never_write_at_once() {
    let folder = Folder::new("twice");
    let target = folder.0.join("a.py");
    let mut first = Partial::open(&target).unwrap();
    first.write("first").unwrap();
    let problem = Partial::open(&target).unwrap_err();
    assert_eq!(problem.exit_code(), 2);
    assert!(problem.to_string().contains("another aurora"), "{problem}");
    first.finish(Verdict::Complete).unwrap();
    let mut second = Partial::open(&target).unwrap();
    second.write("second").unwrap();
    second.finish(Verdict::Complete).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "second\n");
    assert_eq!(folder.names(), ["a.py"]);
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_yet_leads_to_the_file_that_is_made() {
    let folder = Folder::new("dangling");
    let (target, link) = (folder.0.join("real.py"), folder.0.join("link"));
    std::os::unix::fs::symlink("real.py", &link).unwrap();
    let mut file = Partial::open(&link).unwrap();
    file.write("new\n").unwrap();
    file.finish(Verdict::Complete).unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("real.py"));
    assert_eq!(fs::read_to_string(&target).unwrap(), "new\n");
    assert_eq!(folder.names(), ["link", "real.py"]);

    // A circle has no end.
    let (one, two) = (folder.0.join("one"), folder.0.join("two"));
    std::os::unix::fs::symlink(&two, &one).unwrap();
    std::os::unix::fs::symlink(&one, &two).unwrap();
    assert_eq!(Partial::open(&one).unwrap_err().exit_code(), 2);
}

#[cfg(unix)]
#[test]
fn what_replaces_a_private_file_is_private_while_it_is_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("private");
    let target = folder.0.join("key.py");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for before in [0o600, 0o400] {
        let _ = fs::remove_file(&target);
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(before)).unwrap();
        let mut file = Partial::open(&target).unwrap();
        file.write("new\n").unwrap();
        assert_eq!(mode(&folder.0.join("key.py.partial")), 0o600);
        file.finish(Verdict::Complete).unwrap();
        assert_eq!(mode(&target), before);
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_written_through_and_stays_what_it_is() {
    use std::os::unix::fs::FileTypeExt as _;
    let folder = Folder::new("through");
    let pipe = folder.0.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    let mut file = Partial::open(&pipe).unwrap();
    assert!(!file.replaces());
    file.write("one\ntwo").unwrap();
    file.finish(Verdict::Complete).unwrap();
    assert_eq!(reader.join().unwrap(), "one\ntwo\n");
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert_eq!(folder.names(), ["pipe"]);
}

#[cfg(unix)]
#[test]
fn what_is_in_the_way_of_the_other_name_is_refused() {
    let folder = Folder::new("way");
    let target = folder.0.join("a.py");
    let other = folder.0.join("other");
    fs::write(&other, "not ours").unwrap();
    std::os::unix::fs::symlink(&other, folder.0.join("a.py.partial")).unwrap();
    let problem = Partial::open(&target).unwrap_err();
    assert!(problem.to_string().contains("in the way"), "{problem}");
    assert_eq!(fs::read_to_string(&other).unwrap(), "not ours");
}

/// `/dev/full` takes nothing, as a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_is_no_bug_of_ours_and_costs_nothing_that_was_written() {
    let folder = Folder::new("full");
    let problem = Partial::open(Path::new("/dev/full"))
        .unwrap()
        .write("x")
        .unwrap_err();
    assert_eq!(problem.name(), Some("output"));

    let target = folder.0.join("a.py");
    let mut file = Partial::open(&target).unwrap();
    // As far as a disk took it before it was full: some bytes, of which nothing was counted.
    file.file.write_all(b"some").unwrap();
    drop(file);
    assert_eq!(folder.names(), ["a.py.partial"]);
}
