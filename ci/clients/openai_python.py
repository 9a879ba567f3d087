"""The official Python SDK.

    python ci/clients/openai_python.py http://127.0.0.1:8080
"""

import asyncio

import openai

from checks import base_url, check, run

BASE = base_url("openai_python.py http://127.0.0.1:8080") + "/v1"
MODEL = "gpt-3.5-turbo"
MESSAGES = [{"role": "user", "content": "Name three things one finds on a beach, and say something about each."}]

# Retries would hide an error.
client = openai.OpenAI(base_url=BASE, api_key="unused", max_retries=0, timeout=120)


def ask(**fields):
    return client.chat.completions.create(**{"model": MODEL, "messages": MESSAGES, "max_tokens": 32, **fields})


def error_of(kind, **fields):
    try:
        ask(**fields)
    except kind as error:
        return error
    raise AssertionError(f"{fields} gave no {kind.__name__}")


@check
def a_whole_answer():
    answer = ask(temperature=0)
    choice = answer.choices[0]
    assert answer.object == "chat.completion" and answer.id, answer
    assert choice.message.role == "assistant" and choice.message.content.strip(), answer
    assert choice.finish_reason in ("stop", "length"), answer
    usage = answer.usage
    assert usage.prompt_tokens > 0 and 0 < usage.completion_tokens <= 32, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage


@check
def a_stream_says_what_the_whole_answer_says():
    whole = ask(temperature=0)
    chunks = list(ask(temperature=0, stream=True, stream_options={"include_usage": True}))
    assert len({chunk.id for chunk in chunks}) == 1, "one answer, one id"
    assert chunks[0].choices[0].delta.role == "assistant", chunks[0]
    *with_choices, last = chunks
    assert all(chunk.choices and chunk.usage is None for chunk in with_choices)
    assert last.choices == [] and last.usage == whole.usage, (last, whole.usage)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in with_choices)
    assert text == whole.choices[0].message.content, (text, whole)
    reasons = [chunk.choices[0].finish_reason for chunk in with_choices if chunk.choices[0].finish_reason]
    assert reasons == [whole.choices[0].finish_reason], reasons


@check
def usage_is_told_only_where_it_is_asked_for():
    assert all(chunk.usage is None for chunk in ask(stream=True, max_tokens=4))


@check
def the_helper_that_collects_a_stream():
    # With a stop string, since this helper takes an answer at the limit of tokens for an error.
    options = {"model": MODEL, "messages": MESSAGES, "max_tokens": 32, "temperature": 0, "stop": [" "]}
    with client.chat.completions.stream(**options) as stream:
        content = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(content) == final.choices[0].message.content != "", (content, final)


@check
def the_asynchronous_client():
    async def collect():
        async with openai.AsyncOpenAI(base_url=BASE, api_key="unused", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model=MODEL, messages=MESSAGES, max_tokens=16, temperature=0, stream=True
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(collect()) == ask(max_tokens=16, temperature=0).choices[0].message.content


@check
def a_seed_decides_the_text():
    def text(seed):
        return ask(temperature=1.5, seed=seed, max_tokens=48).choices[0].message.content

    assert text(7) == text(7)
    assert text(7) != text(8)


@check
def a_stop_string_ends_the_answer_before_it():
    whole = ask(temperature=0, max_tokens=48).choices[0].message.content
    # Something the answer holds for certain, cut without regard to tokens.
    middle = len(whole) // 2
    stop = whole[middle : middle + 5]
    for stream in (False, True):
        answer = ask(temperature=0, max_tokens=48, stop=[stop, "never said"], stream=stream)
        if stream:
            choices = [chunk.choices[0] for chunk in answer]
            text, reason = "".join(choice.delta.content or "" for choice in choices), choices[-1].finish_reason
        else:
            text, reason = answer.choices[0].message.content, answer.choices[0].finish_reason
        assert text == whole[: whole.index(stop)], (stop, text, whole)
        assert reason == "stop", reason


@check
def max_tokens_is_kept_and_told():
    answer = ask(max_tokens=5, logit_bias={"0": -100, "2": -100, "4": -100})
    assert answer.choices[0].finish_reason == "length", answer
    assert answer.usage.completion_tokens == 5, answer.usage


@check
def a_conversation_with_a_system_prompt():
    messages = [
        {"role": "system", "content": "You answer in one word."},
        {"role": "user", "content": [{"type": "text", "text": "The colour of snow?"}]},
        {"role": "assistant", "content": "White."},
        {"role": "user", "content": "And of coal?"},
    ]
    assert ask(messages=messages).choices[0].message.content.strip()


@check
def models_are_listed_and_found_by_name():
    listed = [model.id for model in client.models.list()]
    assert "local/smollm2" in listed, listed
    for name in listed:
        assert client.models.retrieve(name).id == name, name


@check
def a_value_out_of_range_is_a_bad_request():
    error = error_of(openai.BadRequestError, temperature=9)
    assert error.param == "temperature" and error.type == "invalid_request_error", error.body
    assert error.request_id, "an error can be named"
    error = error_of(openai.BadRequestError, messages=[])
    assert error.param == "messages", error.body


@check
def a_prompt_beyond_the_context_is_a_bad_request():
    error = error_of(openai.BadRequestError, messages=[{"role": "user", "content": "salt and pepper " * 8192}])
    assert error.param == "messages" and "8192" in error.message, error.body


@check
def an_unknown_model_is_not_found_and_the_error_names_those_there_are():
    error = error_of(openai.NotFoundError, model="no-such-model")
    assert error.code == "model_not_found" and "local/smollm2" in error.message, error.body
    try:
        client.models.retrieve("no-such-model")
    except openai.NotFoundError:
        return
    raise AssertionError("an unknown model was retrieved")


if __name__ == "__main__":
    run(f"openai-python {openai.__version__}")
