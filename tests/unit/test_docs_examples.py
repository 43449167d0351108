"""The examples of docs/testing.md run as they stand."""

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs/testing.md"


def test_the_examples_of_the_page_on_testing_run() -> None:
    text = PAGE.read_text()
    examples = list(re.finditer(r"```python\n(.*?)```", text, re.DOTALL))
    namespace: dict[str, Any] = {"__name__": "example"}
    for example in examples:
        line = text[: example.start(1)].count("\n")
        exec(compile("\n" * line + example[1], str(PAGE), "exec"), namespace)  # the page's own line numbers
    assert len(examples) > 5
