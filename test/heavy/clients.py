"""What the tests do with Python's clients: python clients.py <base> <key> <model> <what>... prints what came of it, as JSON."""

import asyncio
import io
import json
import os
import sys

for name in [name for name in os.environ if name.startswith(("OPENAI_", "ANTHROPIC_"))]:
    del os.environ[name]

import anthropic  # noqa: E402
import openai  # noqa: E402
from pydantic import BaseModel  # noqa: E402

BASE, KEY, MODEL, *WANTED = sys.argv[1:]
QUESTION = "What is for dinner?"
MESSAGES = [{"role": "user", "content": QUESTION}]
# The model of noise that the tests have then goes on to exactly so many tokens.
CHAT = {"model": MODEL, "messages": MESSAGES, "max_tokens": 20, "temperature": 0}
RESPONSE = {"model": MODEL, "input": QUESTION, "max_output_tokens": 20, "temperature": 0}
MESSAGE = {"model": MODEL, "messages": MESSAGES, "max_tokens": 20, "extra_body": {"temperature": 0}}
OPENAI = {"base_url": f"{BASE}/v1", "api_key": KEY, "max_retries": 0}
ANTHROPIC = {"base_url": BASE, "api_key": KEY, "max_retries": 0}
SHELF = {"type": "object", "properties": {"shelf": {"type": "string"}, "items": {"type": "number"}}}

room = openai.OpenAI(**OPENAI)
claude = anthropic.Anthropic(**ANTHROPIC)


class Dish(BaseModel):
    dish: str
    minutes: float


def failure(error):
    return {"failed": type(error).__name__, "status": getattr(error, "status_code", None), "message": str(error)}


def read(stream, of=lambda part: part):
    """All that came, and what ended it where that was no proper end."""
    parts = []
    try:
        for part in stream:
            parts.append(of(part))
    except Exception as error:
        return {"parts": parts, **failure(error)}
    return {"parts": parts}


def said(chunk):
    return (chunk.choices[0].delta.content or "") if chunk.choices else chunk.usage.total_tokens


def told(event):
    return event.message if event.type == "error" else event.type


def openai_chat():
    answer = room.chat.completions.create(**CHAT, extra_body={"min_p": 0.1})
    return [answer.choices[0].message.content, answer.usage.total_tokens]


def openai_stream():
    return read(room.chat.completions.create(**CHAT, stream=True), said)


def openai_stream_left():
    with room.chat.completions.create(**CHAT, stream=True) as stream:
        return said(next(iter(stream)))


def openai_too_slow():
    return room.with_options(timeout=1).chat.completions.create(**CHAT)


def openai_tools():
    tool = {"type": "function", "function": {"name": "look_into_fridge", "parameters": SHELF}}
    answer = room.chat.completions.create(**CHAT, tools=[tool])
    call = answer.choices[0].message.tool_calls[0]
    return [call.function.name, json.loads(call.function.arguments)]


def openai_parse():
    answer = room.chat.completions.parse(**CHAT, response_format=Dish)
    return answer.choices[0].message.parsed.model_dump()


def openai_completion():
    answer = room.completions.create(model=MODEL, prompt=QUESTION)
    return answer.choices[0].text


def openai_responses():
    made = room.responses.create(**RESPONSE)
    again = room.responses.retrieve(made.id)
    items = [item.content[0].text for item in room.responses.input_items.list(made.id)]
    following = room.responses.create(**RESPONSE, previous_response_id=made.id)
    room.responses.delete(made.id)
    try:
        gone = room.responses.retrieve(made.id)
    except openai.NotFoundError as error:
        gone = error.status_code
    return [made.output_text, again.id == made.id, items, following.output_text, gone]


def openai_responses_stream():
    return read(room.responses.create(**RESPONSE, stream=True), told)


def openai_responses_helper():
    with room.responses.stream(**RESPONSE) as stream:
        said = [event.delta for event in stream if event.type == "response.output_text.delta"]
        return [said, stream.get_final_response().output_text]


def openai_embeddings():
    return [one.embedding for one in room.embeddings.create(model=MODEL, input=["rice", "noodles"]).data]


def openai_transcription():
    sound = io.BytesIO(bytes(range(256)) * 1000)
    sound.name = "bell.wav"
    return room.audio.transcriptions.create(model=MODEL, file=sound).text


def openai_models():
    return [model.id for model in room.models.list()]


async def openai_async():
    async with openai.AsyncOpenAI(**OPENAI) as client:
        answers = await asyncio.gather(*[client.chat.completions.create(**CHAT) for _ in range(8)])
        stream = await client.chat.completions.create(**CHAT, stream=True)
        return [[answer.choices[0].message.content for answer in answers], [said(chunk) async for chunk in stream]]


async def openai_async_left():
    async with openai.AsyncOpenAI(**OPENAI) as client:
        async for chunk in await client.chat.completions.create(**CHAT, stream=True):
            return said(chunk)


async def openai_async_cancelled():
    async with openai.AsyncOpenAI(**OPENAI) as client:
        await asyncio.wait_for(client.chat.completions.create(**CHAT), timeout=1)


def anthropic_create():
    answer = claude.messages.create(**MESSAGE)
    return [answer.content[0].text, answer.usage.output_tokens, answer.stop_reason]


def anthropic_stream():
    return read(claude.messages.create(**MESSAGE, stream=True), lambda event: event.type)


def anthropic_helper():
    with claude.messages.stream(**MESSAGE) as stream:
        said = list(stream.text_stream)
        return [said, stream.get_final_message().content[0].text]


def anthropic_stream_left():
    with claude.messages.create(**MESSAGE, stream=True) as stream:
        return next(iter(stream)).type


def anthropic_too_slow():
    return claude.with_options(timeout=1).messages.create(**MESSAGE)


def anthropic_count():
    return claude.messages.count_tokens(model=MODEL, messages=MESSAGES).input_tokens


def anthropic_tools():
    answer = claude.messages.create(**MESSAGE, tools=[{"name": "look_into_fridge", "input_schema": SHELF}])
    return [[block.name, block.input] for block in answer.content]


def anthropic_bearer():
    client = anthropic.Anthropic(base_url=BASE, auth_token=KEY, max_retries=0)
    return client.messages.create(**MESSAGE).content[0].text


def anthropic_beta():
    answer = claude.beta.messages.create(**MESSAGE, betas=["interleaved-thinking-2025-05-14"])
    return answer.content[0].text


async def anthropic_async():
    async with anthropic.AsyncAnthropic(**ANTHROPIC) as client:
        answers = await asyncio.gather(*[client.messages.create(**MESSAGE) for _ in range(8)])
        async with client.messages.stream(**MESSAGE) as stream:
            said = [text async for text in stream.text_stream]
        return [[answer.content[0].text for answer in answers], said]


async def anthropic_async_left():
    async with anthropic.AsyncAnthropic(**ANTHROPIC) as client:
        async with client.messages.stream(**MESSAGE) as stream:
            async for text in stream.text_stream:
                return text


def outcome(what):
    try:
        result = globals()[what]()
        return asyncio.run(result) if asyncio.iscoroutine(result) else result
    except Exception as error:
        return failure(error)


print(json.dumps({what: outcome(what) for what in WANTED}))
