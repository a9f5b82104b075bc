"""Text on pages: escaped, and settings as code."""

from somray.report.drawing.blocks import with_settings


def test_settings_are_code_and_all_else_is_escaped():
    told = with_settings("set `irregular: resample`, <b>`a<b`</b>; a lone ` stays")
    assert told == (
        "set <code>irregular: resample</code>, &lt;b&gt;<code>a&lt;b</code>&lt;/b&gt;; a lone ` stays"
    )
