"""The pictures of the page, as inline SVG: each module draws one from a decision, and none reads anything else.

Colours are the page's CSS variables, so that a picture is right in light, dark and print; what a colour says is said by
a label, a shape or a place as well.
"""
