"""The official Python SDK and streams that survive: the Responses API, and signs of life in silent streams.

    python ci/clients/openai_python_responses.py http://127.0.0.1:8080

The server's keepalive has to be 100ms, and its endpoint `slow` slow_upstream.py.
"""

import time

import openai
import requests

from checks import base_url, check, run

SERVER = base_url("openai_python_responses.py http://127.0.0.1:8080")
MODEL = "gpt-3.5-turbo"
INPUT = "Name three things one finds on a beach, and say something about each."
WORDS = "one two three four five"
ENDS = ("response.completed", "response.incomplete")

# Retries would hide an error.
client = openai.OpenAI(base_url=SERVER + "/v1", api_key="unused", max_retries=0, timeout=120)


def ask(**fields):
    return client.responses.create(**{"model": MODEL, "input": INPUT, "max_output_tokens": 32, "temperature": 0, **fields})


def text_of(events):
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def numbers(events):
    return [event.sequence_number for event in events]


@check
def a_whole_response():
    response = ask(metadata={"order": "17"}, instructions="Be brief.")
    assert response.object == "response" and response.id.startswith("resp_"), response
    assert response.status in ("completed", "incomplete") and response.error is None, response
    assert response.output_text.strip() and response.metadata == {"order": "17"}, response
    usage = response.usage
    assert usage.input_tokens > 0 and 0 < usage.output_tokens <= 32, usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens, usage
    assert client.responses.retrieve(response.id) == response


@check
def a_stream_says_what_the_whole_response_says():
    whole = ask()
    events = list(ask(stream=True))
    assert numbers(events) == list(range(len(events))), numbers(events)
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"], events[:2]
    assert events[-1].type in ENDS, events[-1]
    final = events[-1].response
    assert text_of(events) == final.output_text == whole.output_text != "", (final, whole)
    assert final.usage == whole.usage, (final.usage, whole.usage)


@check
def the_helper_that_collects_a_stream():
    with client.responses.stream(model=MODEL, input=INPUT, max_output_tokens=32, temperature=0) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
    assert text == ask().output_text != "", text


@check
def a_background_stream_is_dropped_and_resumed():
    seen = []
    with ask(background=True, stream=True, max_output_tokens=48) as stream:
        for event in stream:
            seen.append(event)
            if event.type == "response.output_text.delta":
                break
    assert [event.type for event in seen[:2]] == ["response.created", "response.queued"], seen[:2]
    name = seen[0].response.id
    rest = list(client.responses.retrieve(name, stream=True, starting_after=seen[-1].sequence_number))
    assert rest[-1].type in ENDS, rest[-1]
    assert numbers(seen + rest) == list(range(len(seen) + len(rest))), (numbers(seen), numbers(rest))
    final = rest[-1].response
    assert text_of(seen + rest) == final.output_text != "", final
    assert client.responses.retrieve(name) == final
    again = list(client.responses.retrieve(name, stream=True, starting_after=0))
    assert again == (seen + rest)[1:], "a replay is the same"


@check
def a_background_response_is_polled():
    response = ask(background=True)
    assert response.status in ("queued", "in_progress"), response
    until = time.monotonic() + 60
    while response.status in ("queued", "in_progress"):
        assert time.monotonic() < until, response
        time.sleep(0.05)
        response = client.responses.retrieve(response.id)
    assert response.status in ("completed", "incomplete") and response.output_text.strip(), response


@check
def a_response_is_cancelled_and_deleted():
    response = client.responses.create(model="slow/words", input="Count.", background=True)
    for _ in range(2):
        cancelled = client.responses.cancel(response.id)
        assert cancelled.id == response.id and cancelled.status == "cancelled", cancelled
    client.responses.delete(response.id)
    for call in (client.responses.retrieve, client.responses.cancel, client.responses.delete):
        try:
            call(response.id)
        except openai.NotFoundError as error:
            assert error.code == "response_not_found", error.body
        else:
            raise AssertionError("a deleted response is still there")


@check
def a_conversation_goes_on():
    first = ask(input="Say the word blue.")
    second = ask(input="Say it again.", previous_response_id=first.id)
    assert second.previous_response_id == first.id and second.output_text.strip(), second
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens, (first.usage, second.usage)


@check
def what_a_response_answers_is_listed():
    first = ask(model="slow/words", input="Say the word blue.")
    # The local model takes no calls.
    second = ask(
        model="slow/words",
        previous_response_id=first.id,
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "Say it again."}]},
            {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "It is blue."},
        ],
    )
    whole = list(client.responses.input_items.list(second.id, order="asc"))
    kinds = [(item.type, getattr(item, "role", None)) for item in whole]
    said = [("message", "user"), ("message", "assistant"), ("message", "user")]
    assert kinds == said + [("function_call", None), ("function_call_output", None)], whole
    assert whole[1].content[0].text == first.output_text and whole[4].output == "It is blue.", whole
    # The SDK asks for page after page, each after the last item it has.
    assert list(client.responses.input_items.list(second.id, limit=2)) == whole[::-1]
    page = client.responses.input_items.list(second.id, limit=2, order="asc", after=whole[0].id)
    assert page.has_more and page.data == whole[1:3], page
    sent = [item.model_dump(exclude_none=True) for item in whole]
    again = client.responses.input_items.list(ask(model="slow/words", input=sent).id, order="asc")
    places = range(len(whole))
    assert [item.id.split("_in_")[1] for item in again] == [str(place) for place in places], again
    try:
        client.responses.input_items.list(second.id, limit=101)
    except openai.BadRequestError as error:
        assert error.param == "limit", error.body
    else:
        raise AssertionError("a limit of 101 was taken")


@check
def a_mistake_is_named_in_the_words_of_this_api():
    for fields, param in [
        ({"temperature": 9}, "temperature"),
        ({"input": "salt and pepper " * 8192}, "input"),
        ({"background": True, "store": False}, "background"),
        ({"truncation": "auto"}, "truncation"),
    ]:
        try:
            ask(**fields)
        except openai.BadRequestError as error:
            assert error.param == param, error.body
        else:
            raise AssertionError(f"{param} was taken")


@check
def signs_of_life_come_in_silences_and_have_no_blank_line():
    body = {"model": "slow/words", "stream": True, "messages": [{"role": "user", "content": "Count."}]}
    for path, fields in [("chat/completions", body), ("responses", {"model": "slow/words", "stream": True, "input": "Count."})]:
        with requests.post(f"{SERVER}/v1/{path}", json=fields, stream=True, timeout=60) as answer:
            lines = answer.content.decode().split("\n")
        comments = [number for number, line in enumerate(lines) if line.startswith(":")]
        assert len(comments) >= 8, lines
        assert all(lines[number + 1] != "" for number in comments), lines
        assert any(line.startswith("id: ") for line in lines), lines


@check
def a_chat_with_ids_and_signs_of_life_is_read_as_ever():
    chunks = list(
        client.chat.completions.create(
            model="slow/words", messages=[{"role": "user", "content": "Count."}], stream=True
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == WORDS, chunks
    assert chunks[-1].choices[0].finish_reason == "stop", chunks


@check
def a_response_with_ids_and_signs_of_life_is_read_as_ever():
    events = list(client.responses.create(model="slow/words", input="Count.", stream=True))
    assert text_of(events) == WORDS == events[-1].response.output_text, events
    assert numbers(events) == list(range(len(events))), numbers(events)


if __name__ == "__main__":
    run(f"openai-python {openai.__version__}, responses")
