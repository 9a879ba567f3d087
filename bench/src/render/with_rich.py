"""Shows standard input as Markdown while it comes, as programs do that use rich: everything anew for each piece."""

import codecs
import os

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown

console = Console(force_terminal=True, width=80, height=24, color_system="standard")
decoder = codecs.getincrementaldecoder("utf-8")()
text = ""
with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
    while piece := os.read(0, 65536):
        text += decoder.decode(piece)
        live.update(Markdown(text), refresh=True)
