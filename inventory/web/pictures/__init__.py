"""Pictures as plain geometry: where lines, bands and labels stand; templates draw them as SVG, style sheets colour
them.

A picture says nothing that its page does not say in words and tables as well.
"""

from inventory.web.pictures.lines import (
    LABEL_HEIGHT,
    SPAN_WIDTH,
    Bar,
    Curve,
    Curves,
    SpanBar,
    bar,
    curves,
    span_bar,
    sparkline,
)
from inventory.web.pictures.scales import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, round_figures, round_up
from inventory.web.pictures.shares import Progress, progress
from inventory.web.pictures.stocks import Ahead, Mark, Outlook, outlook
from inventory.web.pictures.uses import Stacked, stacked

__all__ = [
    "BOTTOM",
    "HEIGHT",
    "LABEL_HEIGHT",
    "LEFT",
    "RIGHT",
    "SPAN_WIDTH",
    "TOP",
    "WIDTH",
    "Ahead",
    "Bar",
    "Curve",
    "Curves",
    "Mark",
    "Outlook",
    "Progress",
    "SpanBar",
    "Stacked",
    "bar",
    "curves",
    "outlook",
    "progress",
    "round_figures",
    "round_up",
    "span_bar",
    "sparkline",
    "stacked",
]
