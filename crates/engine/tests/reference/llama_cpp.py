"""What llama.cpp's server makes of a model: the tokens of some texts, and the logarithmic probability of every token after
some others. Needs the wheel xllamacpp; see llama_cpp/main.rs."""

import json
import os
import sys
import urllib.request

import xllamacpp

path, asked = sys.argv[1], json.loads(sys.argv[2])
params = xllamacpp.CommonParams()
params.model.path = path
params.n_ctx, params.n_parallel, params.warmup = 512, 1, False
# Its threads wait for each other, on a busy machine for ever.
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)


def tokens(text):
    body = {"content": text, "add_special": False, "parse_special": False}
    request = urllib.request.Request(
        f"{server.listening_address}/tokenize", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["tokens"]


# It tells no probabilities with a token that is half a character, so the one that comes is a letter; they are those of
# before any bias.
body = {"prompt": asked["ids"], "n_predict": 1, "temperature": 0, "n_probs": 1000, "logit_bias": [[99, 1000]]}
answer = server.handle_completions(body | {"cache_prompt": False})
top = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
logprobs = [[token["id"], round(token["logprob"], 5)] for token in top]
print(json.dumps({"tokens": [tokens(text) for text in asked["texts"]], "logprobs": logprobs}), flush=True)
# The wheel's server has threads that outlive the interpreter.
os._exit(0)
