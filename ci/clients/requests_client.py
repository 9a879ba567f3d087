"""The plainest client there is: `requests.post(…, stream=True)` and a loop over lines.

    python ci/clients/requests_client.py http://127.0.0.1:8080

It sends its JSON as a string, so no Content-Type, and believes nothing but what it reads.
"""

import json
import sys
import time

import requests

from checks import base_url, check, run

URL = base_url("requests_client.py http://127.0.0.1:8080") + "/v1/chat/completions"
HEADERS = {"Accept": "text/event-stream"}

# SmolLM2 ends an answer with one of these tokens. Without them it goes on until max_tokens, whatever it says.
NEVER_END = {"0": -100, "2": -100, "4": -100}


def body(**fields):
    question = "Write a short story about a lighthouse keeper."
    messages = [{"role": "user", "content": question}]
    return json.dumps({"model": "gpt-3.5-turbo", "stream": True, "messages": messages, **fields})


def post(text):
    return requests.post(URL, stream=True, headers=HEADERS, data=text, timeout=120)


@check
def an_answer_grows_on_the_screen():
    post(body(max_tokens=1)).content  # loads the model, which is not what is measured
    began = time.monotonic()
    arrivals, text, last = [], "", None
    with post(body(max_tokens=128, logit_bias=NEVER_END)) as response:
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"].startswith("text/event-stream"), response.headers
        for line in response.iter_lines(decode_unicode=True):
            if not line.startswith("data: "):
                assert line == "" or line.startswith((":", "id: ")), line
                continue
            last = line.removeprefix("data: ")
            if last == "[DONE]":
                break
            for choice in json.loads(last)["choices"]:
                piece = choice["delta"].get("content")
                if piece:
                    arrivals.append(time.monotonic() - began)
                    text += piece
                    sys.stdout.write(piece)
                    sys.stdout.flush()
    print()
    assert last == "[DONE]", f"the stream ended with {last!r}"
    assert len(arrivals) > 64, f"{len(arrivals)} deltas for 128 tokens"
    first, final = arrivals[0], arrivals[-1]
    print(f"first delta after {first:.3f} s, last after {final:.3f} s, {len(arrivals)} deltas")
    # One that is held back and sent at once would have them all at the end.
    assert first < final / 2, "the first delta came with the last"
    assert len({round(at, 3) for at in arrivals}) > len(arrivals) / 4, "the deltas came in lumps"


@check
def a_charset_is_not_needed_to_read_the_text():
    # Without a charset in its type, requests decodes text as Latin-1 unless the type is JSON; bytes are always right.
    with post(body(max_tokens=4)) as response:
        for line in response.iter_lines():
            line.decode("utf-8")


@check
def an_error_is_a_status_and_names_the_field():
    response = post(body(temperature=9))
    assert response.status_code == 400, response.status_code
    error = response.json()["error"]
    assert error["param"] == "temperature" and "9" in error["message"], error


@check
def a_body_that_is_no_json_is_an_error():
    response = post("model=gpt-3.5-turbo")
    assert response.status_code == 400, response.status_code
    assert response.json()["error"]["type"] == "invalid_request_error", response.text


@check
def a_whole_answer_is_one_object():
    response = post(body(stream=False, max_tokens=8, logit_bias=NEVER_END))
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["object"] == "chat.completion", answer
    assert answer["choices"][0]["finish_reason"] == "length", answer
    assert answer["usage"]["completion_tokens"] == 8, answer


if __name__ == "__main__":
    run(f"requests {requests.__version__}")
