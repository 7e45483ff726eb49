"""What the unit tests share."""

import asyncio

# On Python 3.11 pytest-asyncio 1.5 asks for a current event loop before the first async test of a run. If a plain
# test ran before it, that makes a loop which nobody closes, and the warning fails the run (pytest-asyncio#724).
# Said outright that there is none, it makes none.
asyncio.set_event_loop(None)
