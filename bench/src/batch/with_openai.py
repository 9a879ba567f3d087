"""What a batch is without aurora: asyncio and openai-python, as people write it.

    with_openai.py BASE_URL IN OUT JOBS

Reads a file of OpenAI's batch format, asks for at most JOBS answers at once, streamed, with the client's own retries, and
writes a line for each as it ends. Nothing is flushed to the disk before the end, and nothing is kept for a next start.
"""

import asyncio
import json
import sys

import openai


async def main(base_url: str, source: str, target: str, jobs: int) -> None:
    client = openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=4)
    places = asyncio.Semaphore(jobs)

    async def ask(item: dict, out) -> None:
        async with places:
            try:
                text, usage = "", None
                stream = await client.chat.completions.create(
                    **item["body"], stream=True, stream_options={"include_usage": True}
                )
                async for chunk in stream:
                    if chunk.choices and chunk.choices[0].delta.content:
                        text += chunk.choices[0].delta.content
                    if chunk.usage:
                        usage = chunk.usage.model_dump()
                result = {"custom_id": item["custom_id"], "response": text, "usage": usage, "error": None}
            except openai.OpenAIError as error:
                result = {"custom_id": item["custom_id"], "response": None, "error": str(error)}
            out.write(json.dumps(result) + "\n")

    with open(source, encoding="utf-8") as lines, open(target, "w", encoding="utf-8") as out:
        await asyncio.gather(*(ask(json.loads(line), out) for line in lines))


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
