"""The official Python SDK: answers that obey a schema, calls of tools, log probabilities.

    python ci/clients/openai_python_structured.py http://127.0.0.1:8080

The model is small and says little of sense. What is checked holds all the same: that its answers are what was asked for.
"""

import json
import math
from typing import Literal, Optional, Union

import openai
from pydantic import BaseModel, Field

from checks import base_url, check, run

BASE = base_url("openai_python_structured.py http://127.0.0.1:8080") + "/v1"
MODEL = "gpt-3.5-turbo"
MESSAGES = [{"role": "user", "content": "Anna is 31 years old, lives in Rome and has a cat called Tom. Who is Anna?"}]

client = openai.OpenAI(base_url=BASE, api_key="unused", max_retries=0, timeout=120)


class Cat(BaseModel):
    kind: Literal["cat"]
    name: str = Field(max_length=12)


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: int = Field(ge=0, le=9)


class Person(BaseModel):
    """A person."""

    name: str = Field(max_length=16)
    age: int = Field(ge=0, le=130)
    city: Literal["Rome", "Paris", "Oslo"]
    married: bool
    pet: Optional[Union[Cat, Dog]]
    answers: list[bool] = Field(min_length=1, max_length=3)


def ask(**fields):
    return client.chat.completions.create(**{"model": MODEL, "messages": MESSAGES, "max_tokens": 200, **fields})


def error_of(**fields):
    try:
        ask(**fields)
    except openai.BadRequestError as error:
        return error
    raise AssertionError(f"{fields} gave no error")


@check
def a_pydantic_model_is_what_comes_back():
    for seed in range(6):
        answer = client.chat.completions.parse(
            model=MODEL, messages=MESSAGES, response_format=Person, temperature=1.5, seed=seed, max_tokens=300
        )
        assert isinstance(answer.choices[0].message.parsed, Person), answer
        assert answer.choices[0].finish_reason == "stop", answer


@check
def a_streamed_answer_is_parsed_too():
    options = {"model": MODEL, "messages": MESSAGES, "temperature": 0, "max_tokens": 300}
    with client.chat.completions.stream(response_format=Person, **options) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Person), final
    assert len(deltas) > 3 and "".join(deltas) == final.choices[0].message.content, deltas


@check
def any_json_object():
    for seed in range(4):
        answer = ask(response_format={"type": "json_object"}, temperature=1, seed=seed, stream=False)
        choice = answer.choices[0]
        assert choice.message.content.startswith("{"), choice
        if choice.finish_reason == "stop":
            assert isinstance(json.loads(choice.message.content), dict), choice


@check
def an_answer_that_is_cut_says_so():
    try:
        client.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Person, max_tokens=5)
    except openai.LengthFinishReasonError:
        return
    raise AssertionError("half an object was parsed")


@check
def a_schema_that_cannot_be_obeyed_is_a_bad_request():
    schema = {"name": "s", "schema": {"type": "object", "not": {"required": ["a"]}}}
    error = error_of(response_format={"type": "json_schema", "json_schema": schema})
    assert error.param == "response_format" and "not" in error.message, error.body


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Rome", "Oslo"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}


def check_weather(call):
    assert call.type == "function" and call.id and call.function.name == "get_weather", call
    arguments = json.loads(call.function.arguments)
    assert arguments["city"] in ("Rome", "Oslo") and 1 <= arguments["days"] <= 9 and len(arguments) == 2, call


@check
def a_required_call_is_made():
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        answer = ask(tools=[WEATHER], tool_choice=choice, temperature=1.5, seed=1)
        choice = answer.choices[0]
        assert choice.finish_reason == "tool_calls" and choice.message.content is None, answer
        assert len(choice.message.tool_calls) == 1, answer
        check_weather(choice.message.tool_calls[0])


@check
def a_call_is_streamed_and_parsed():
    tool = openai.pydantic_function_tool(Person)
    options = {"model": MODEL, "messages": MESSAGES, "temperature": 0, "max_tokens": 300}
    with client.chat.completions.stream(tools=[tool], tool_choice="required", **options) as stream:
        deltas = [event for event in stream if event.type == "tool_calls.function.arguments.delta"]
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Person), call
    assert len(deltas) > 3, "arguments come as they are written"


@check
def a_result_is_answered():
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Rome","days":1}'}}
    messages = [
        *MESSAGES,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny, 31 degrees"},
    ]
    answer = ask(messages=messages, tools=[WEATHER], tool_choice="none", max_tokens=24)
    assert answer.choices[0].message.content.strip() and not answer.choices[0].message.tool_calls, answer


@check
def a_model_that_knows_no_tools_does_not_pretend():
    error = error_of(tools=[WEATHER])
    assert error.param == "tools" and "required" in error.message, error.body


def check_logprobs(content, logprobs, top):
    assert "".join(entry.token for entry in logprobs) == content, (content, logprobs)
    for entry in logprobs:
        assert entry.logprob <= 0 and bytes(entry.bytes).decode() == entry.token, entry
        assert len(entry.top_logprobs) == top, entry
        assert sum(math.exp(other.logprob) for other in entry.top_logprobs) < 1.001, entry


@check
def log_probabilities_whole_and_streamed():
    options = {"temperature": 0, "max_tokens": 24, "logprobs": True, "top_logprobs": 4}
    whole = ask(**options).choices[0]
    check_logprobs(whole.message.content, whole.logprobs.content, 4)
    for entry in whole.logprobs.content:
        assert entry.top_logprobs[0].token == entry.token, "greedy takes the likeliest"
    content, logprobs = "", []
    for chunk in ask(stream=True, **options):
        content += chunk.choices[0].delta.content or ""
        logprobs += chunk.choices[0].logprobs.content if chunk.choices[0].logprobs else []
        assert "".join(entry.token for entry in logprobs) == content, "they come with their text"
    assert (content, logprobs) == (whole.message.content, whole.logprobs.content)
    assert ask(max_tokens=4).choices[0].logprobs is None


@check
def the_responses_api_takes_a_schema():
    response = client.responses.parse(
        model=MODEL, input=MESSAGES[0]["content"], text_format=Person, temperature=0, max_output_tokens=300
    )
    assert isinstance(response.output_parsed, Person), response
    try:
        schema = {"type": "json_schema", "name": "s", "schema": {"type": "object", "not": {}}}
        client.responses.create(model=MODEL, input="x", text={"format": schema})
    except openai.BadRequestError as error:
        assert error.param == "text.format", error.body
    else:
        raise AssertionError("it cannot be obeyed")


@check
def the_responses_api_calls_tools():
    tool = {"type": "function", "strict": True, **WEATHER["function"]}
    response = client.responses.create(
        model=MODEL, input=MESSAGES[0]["content"], tools=[tool], tool_choice="required", max_output_tokens=100
    )
    (call,) = response.output
    assert call.type == "function_call" and call.name == "get_weather", response
    assert json.loads(call.arguments)["city"] in ("Rome", "Oslo"), call


@check
def the_responses_api_has_log_probabilities():
    options = {"include": ["message.output_text.logprobs"], "top_logprobs": 2, "temperature": 0, "max_output_tokens": 16}
    whole = client.responses.create(model=MODEL, input=MESSAGES[0]["content"], **options)
    part = whole.output[0].content[0]
    check_logprobs(part.text, part.logprobs, 2)
    seen = []
    for event in client.responses.create(model=MODEL, input=MESSAGES[0]["content"], stream=True, **options):
        if event.type == "response.output_text.delta":
            seen += event.logprobs
    assert [entry.token for entry in seen] == [entry.token for entry in part.logprobs], seen


if __name__ == "__main__":
    run(f"openai-python {openai.__version__}, structured")
