"""Reads a page of HTML, and finds what is wrong with it."""

from collections import Counter
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input"}


class Page(HTMLParser):
    """The elements of a page, (tag, attributes, text), and its errors."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.wrong, self._open = [], [], []
        self.feed(text)
        self.wrong += [f"{tag} is not closed" for tag, *_ in self._open]

    def handle_starttag(self, tag, attrs):
        names = Counter(name for name, _ in attrs)
        self.wrong += [f"{n} twice in {tag}" for n, times in names.items() if times > 1]
        element = [tag, dict(attrs), ""]
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])

    def handle_data(self, data):
        for element in self._open:
            element[2] += data

    def handle_endtag(self, tag):
        if not self._open or self._open.pop()[0] != tag:
            self.wrong.append(f"</{tag}> closes another element")

    def all(self, tag, **attributes):
        return [
            e
            for e in self.elements
            if e[0] == tag and all(e[1].get(k) == v for k, v in attributes.items())
        ]
