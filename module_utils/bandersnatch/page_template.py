"""How the mirror's page looks: HTML and CSS. No script, nothing from elsewhere; Jinja escapes every value."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --card: #fff; --ink: #1d2733; --soft: #55606e; --line: #e2dfd8; --accent: #1f5f8b;
  --bar: #3d7ea6; --pale: #a9c6d8; --code: #f3f1ec; --alert: #9b2c1f; --alert-paper: #fdf1ee;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --card: #1b2027; --ink: #e6e9ed; --soft: #a3adb9; --line: #2d343d; --accent: #8cc4e8;
    --bar: #5b9cc4; --pale: #38566b; --code: #10141a; --alert: #ffb4a6; --alert-paper: #33201d;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 17px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
}
header, main, footer { max-width: 62rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: clamp(2.25rem, 7vw, 4.5rem); }
h1, h2 { font-family: ui-serif, "Iowan Old Style", "Palatino Linotype", "Noto Serif", Georgia, serif; font-weight: 600; }
h1 { margin: 0; font-size: clamp(1.75rem, 6vw, 2.75rem); line-height: 1.15; }
h2 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; }
h3 { margin: 0 0 .5rem; font-size: 1rem; line-height: 1.4; }
p { margin: 0 0 1rem; max-width: 44rem; }
a { color: var(--accent); text-underline-offset: .15em; }
a:focus-visible, summary:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
section { margin-top: clamp(2.5rem, 6vw, 4rem); }
.eyebrow { margin: 0 0 .5rem; color: var(--soft); letter-spacing: .04em; }
.lead { margin: 1rem 0 0; font-size: 1.125rem; }
.note { color: var(--soft); font-size: .9375rem; }
.alert {
  max-width: none; margin: 1.5rem 0 0; padding: .75rem 1rem; border-left: 4px solid var(--alert);
  background: var(--alert-paper); color: var(--ink);
}
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.75rem, 1fr)); gap: 1px; margin: 0;
  background: var(--card); border: 1px solid var(--line); border-radius: .5rem; overflow: hidden; }
.facts div { padding: 1rem 1.125rem; box-shadow: 0 0 0 1px var(--line); }
.facts dt { color: var(--soft); font-size: .875rem; }
.facts dd { margin: .125rem 0 0; font-size: 1.25rem; line-height: 1.35; font-variant-numeric: tabular-nums; }
.facts small { display: block; color: var(--soft); font-size: .875rem; line-height: 1.4; }
.meter { display: block; height: 8px; margin: 1rem 0 .5rem; border-radius: 4px; background: var(--line); }
.meter i { display: block; height: 100%; border-radius: 4px; background: var(--bar); }
.tools { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.75rem 2rem; }
.tools > div { min-width: 0; }
pre {
  margin: 0 0 .5rem; padding: .75rem .875rem; white-space: pre-wrap; border: 1px solid var(--line); border-radius: .375rem;
  background: var(--code); font: .875rem/1.6 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
}
code { font-family: inherit; user-select: all; }
.runs { margin: 0; padding: 0; list-style: none; border-top: 1px solid var(--line); }
.runs li { padding: .75rem 0; border-bottom: 1px solid var(--line); }
.runs li > time { display: block; color: var(--soft); font-size: .875rem; }
.runs .bad { padding-left: .875rem; border-left: 4px solid var(--alert); }
.runs p { margin: .125rem 0 0; max-width: none; }
.names { color: var(--soft); font-size: .9375rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 2.5rem 2rem; }
figure { min-width: 0; margin: 0; }
figcaption { margin-bottom: .75rem; }
svg { display: block; width: 100%; overflow: visible; }
svg text { fill: var(--soft); font-size: 13px; font-variant-numeric: tabular-nums; }
svg .name { fill: var(--ink); font-size: 14px; }
.bar { fill: var(--bar); } .part { fill: var(--pale); } .rail { fill: var(--line); }
.axis { stroke: var(--line); stroke-width: 1px; } .area { fill: var(--pale); opacity: .5; }
.curve { fill: none; stroke: var(--bar); stroke-width: 2px; vector-effect: non-scaling-stroke; }
summary { color: var(--accent); font-size: .9375rem; cursor: pointer; }
.scroll { max-height: 20rem; overflow: auto; }
table { width: 100%; margin-top: .5rem; border-collapse: collapse; font-size: .9375rem; }
th, td { padding: .25rem .5rem .25rem 0; border-bottom: 1px solid var(--line); text-align: left; }
th { font-weight: 600; }
td + td, th + th { padding-right: 0; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
footer { margin-top: clamp(3rem, 7vw, 5rem); padding-bottom: 3rem; color: var(--soft); font-size: .9375rem; }
footer > div { padding-top: 1.25rem; border-top: 1px solid var(--line); }
footer ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 0 0 .75rem; padding: 0; list-style: none; }
@media print { details { display: none; } }
"""

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='3' fill='%231f5f8b'/%3E"
    "%3Cpath d='M4 4h8v2H4zm0 3h8v2H4zm0 3h5v2H4z' fill='white'/%3E%3C/svg%3E"
)

TEMPLATE = (
    """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="{{ generator }}">
<title>Python package mirror {{ page.host }}</title>
<link rel="icon" href=\""""
    + ICON
    + """\">
<style>"""
    + STYLE
    + """</style>
</head>
<body>
<header>
<p class="eyebrow">Python package mirror</p>
<h1>{{ page.host }}</h1>
{% if page.synced %}
<p class="lead">A copy of <strong>{{ page.upstream }}</strong>, for pip, uv, Poetry, PDM and every tool that reads a
simple index. It was last in step with it on {{ mark("good") }}.</p>
{% else %}
<p class="lead">This is going to be a copy of <strong>{{ page.upstream }}</strong>. Its first synchronisation has not come
to a good end yet.</p>
{% endif %}
{% if page.trouble %}
<p class="alert" role="note"><strong>The last run, on {{ mark("last") }}, did not get through:</strong>
{{ page.trouble }}.{% if page.synced %} What is served is whole, as of the time above.{% endif %}</p>
{% endif %}
</header>
<main>
<section aria-labelledby="fresh">
<h2 id="fresh">Freshness and size</h2>
<dl class="facts">
<div><dt>Last good sync</dt><dd>{{ mark("good clock") }}<small>{{ mark("good day") }}</small></dd></div>
{% if page.serial is not none %}
<div><dt>Behind upstream</dt><dd>{{ "{:,}".format(page.behind) }} {{ "change" if page.behind == 1 else "changes" }}<small>at
serial {{ "{:,}".format(page.serial) }}</small></dd></div>
{% endif %}
<div><dt>Next one due</dt><dd>{{ mark("next clock") }}<small>{{ mark("next day") }}</small></dd></div>
{% if page.projects is not none %}
<div><dt>Projects</dt><dd>{{ "{:,}".format(page.projects) }}</dd></div>
{% endif %}
{% if page.files is not none %}
<div><dt>Files</dt><dd>{{ "{:,}".format(page.files) }}<small>{{ page.bytes }}</small></dd></div>
{% endif %}
<div><dt>Space left</dt><dd>{{ mark("free") }}<small>of {{ mark("total") }}</small></dd></div>
</dl>
<span class="meter" aria-hidden="true"><i style="width: {{ mark("used") }}%"></i></span>
<p class="note">{{ mark("used") }} % of the volume is in use. {{ mark("left") }}
{% if page.synced %}
The last good sync took {{ mark("took") }}. If it is later than {{ mark("stale") }} and this page still says so, the
mirror is stale.
{% endif %}
</p>
</section>

<section aria-labelledby="use">
<h2 id="use">Use it</h2>
<p>Click a command to select the whole of it.</p>
<div class="tools">
<div>
<h3>pip</h3>
<pre><code>pip install --index-url {{ page.simple }}{% if page.trusted_host %} --trusted-host {{ page.trusted_host }}{% endif %} requests</code></pre>
<p class="note">Always:</p>
<pre><code>pip config set global.index-url {{ page.simple }}{% if page.trusted_host %}

pip config set global.trusted-host {{ page.trusted_host }}{% endif %}</code></pre>
</div>
<div>
<h3>uv</h3>
<pre><code>uv pip install --default-index {{ page.simple }} requests</code></pre>
<p class="note">In a project’s <code>pyproject.toml</code>:</p>
<pre><code>[[tool.uv.index]]
url = "{{ page.simple }}"
default = true</code></pre>
</div>
<div>
<h3>Poetry</h3>
<pre><code>poetry source add --priority=primary mirror {{ page.simple }}</code></pre>
</div>
<div>
<h3>PDM</h3>
<pre><code>pdm config pypi.url {{ page.simple }}{% if page.trusted_host %}

pdm config pypi.verify_ssl false{% endif %}</code></pre>
</div>
</div>
{% if page.trusted_host %}
<p class="note">This mirror speaks plain http: whoever is on the way can change what you install. pip and PDM want to be
told that you accept that.</p>
{% endif %}
</section>

<section aria-labelledby="lately">
<h2 id="lately">What happened lately</h2>
{% if page.runs %}
<ol class="runs">
{% for run in page.runs %}
<li{% if run.bad %} class="bad"{% endif %}>{{ when(run.when) }}
<p>{{ run.text }}{% if run.repeated %}; {{ "{:,}".format(run.repeated + 1) }} times in a row since {{ when(run.first) }}{% endif %}</p>
{% for what, names, more in run.groups %}
<p class="names">{{ what }}: {{ names | join(", ") }}{% if more > 0 %} and {{ "{:,}".format(more) }} more{% endif %}</p>
{% endfor %}
{% for name, reason in run.failures %}
<p class="names"><strong>{{ name }}</strong>: {{ reason }}</p>
{% endfor %}
{% if run.more_failures > 0 %}
<p class="names">and {{ "{:,}".format(run.more_failures) }} more</p>
{% endif %}
</li>
{% endfor %}
</ol>
<p class="note">Runs that changed nothing are not listed.</p>
{% else %}
<p>No run has changed anything yet.</p>
{% endif %}
</section>

<section aria-labelledby="numbers">
<h2 id="numbers">In numbers</h2>
{% if not page.statistics %}
<p class="note">Downloads are not counted on this mirror.</p>
{% elif not page.downloads %}
<p class="note">No downloads have been counted yet.</p>
{% endif %}
<div class="plots">
{% if page.downloads %}
<figure>
<figcaption><h3>Downloads a day</h3></figcaption>
<svg height="180" role="img" aria-label="Bars: {{ "{:,}".format(page.downloads.total) }} downloads from
{{ page.downloads.columns[0].day }} to {{ page.downloads.columns[-1].day }}, at most {{ page.downloads.top }} on the scale">
<line class="axis" x1="0" x2="100%" y1="20.5" y2="20.5"/><text x="0" y="14">{{ page.downloads.top }}</text>
<line class="axis" x1="0" x2="100%" y1="150.5" y2="150.5"/>
<svg y="20" height="130" width="100%" viewBox="0 0 {{ page.downloads.columns | length }} 100" preserveAspectRatio="none">
{% for column in page.downloads.columns %}
{% if column.downloads %}
<rect class="{{ "bar" if column.complete else "part" }}" x="{{ loop.index0 + 0.1 }}" width="0.8" y="{{ 100 - column.height }}" height="{{ column.height }}"/>
{% endif %}
{% endfor %}
</svg>
<text x="0" y="170">{{ page.downloads.columns[0].day }}</text>
{% if page.downloads.columns | length > 1 %}
<text x="100%" y="170" text-anchor="end">{{ page.downloads.columns[-1].day }}</text>
{% endif %}
</svg>
<details><summary>Downloads a day as a table</summary><div class="scroll" tabindex="0" role="group" aria-label="Downloads a day">
<table><thead><tr><th scope="col">Day</th><th scope="col">Downloads</th></tr></thead><tbody>
{% for column in page.downloads.columns | reverse %}
<tr><td>{{ column.day }}{% if not column.complete %} (not over yet){% endif %}</td><td>{{ "{:,}".format(column.downloads) }}</td></tr>
{% endfor %}
</tbody></table></div></details>
</figure>
{% endif %}
{% if page.sizes %}
<figure>
<figcaption><h3>Size of the mirror</h3></figcaption>
<svg height="180" role="img" aria-label="Line: from {{ page.sizes.days[0][1] | bytes }} on {{ page.sizes.days[0][0] }} to
{{ page.sizes.days[-1][1] | bytes }} on {{ page.sizes.days[-1][0] }}">
<line class="axis" x1="0" x2="100%" y1="20.5" y2="20.5"/><text x="0" y="14">{{ page.sizes.top }}</text>
<line class="axis" x1="0" x2="100%" y1="150.5" y2="150.5"/>
<svg y="20" height="130" width="100%" viewBox="0 0 100 100" preserveAspectRatio="none">
<polygon class="area" points="{{ page.sizes.area }}"/><polyline class="curve" points="{{ page.sizes.points }}"/>
</svg>
<text x="0" y="170">{{ page.sizes.days[0][0] }}</text>
<text x="100%" y="170" text-anchor="end">{{ page.sizes.days[-1][0] }}</text>
</svg>
<details><summary>Size as a table</summary><div class="scroll" tabindex="0" role="group" aria-label="Size of the mirror">
<table><thead><tr><th scope="col">Day</th><th scope="col">Size</th></tr></thead><tbody>
{% for day, size in page.sizes.days | reverse %}
<tr><td>{{ day }}</td><td>{{ size | bytes }}</td></tr>
{% endfor %}
</tbody></table></div></details>
</figure>
{% endif %}
{% for id, title, rows in page.charts %}
<figure>
<figcaption><h3>{{ title }}</h3></figcaption>
<svg height="{{ 36 * rows | length }}" role="img" aria-label="Bars: {{ title }}, {{ page.recent[0] }} to
{{ page.recent[1] }}; {{ rows[0].name }} leads with {{ "{:,}".format(rows[0].downloads) }} downloads">
{% for row in rows %}
<text class="name" x="0" y="{{ 36 * loop.index0 + 15 }}">{{ row.label }}</text>
<text x="100%" y="{{ 36 * loop.index0 + 15 }}" text-anchor="end">{{ "{:,}".format(row.downloads) }}</text>
<rect class="rail" x="0" y="{{ 36 * loop.index0 + 21 }}" width="100%" height="6" rx="3"/>
<rect class="bar" x="0" y="{{ 36 * loop.index0 + 21 }}" width="{{ row.width }}%" height="6" rx="3"/>
{% endfor %}
</svg>
<details><summary>{{ title }} as a table</summary>
<table><thead><tr><th scope="col">{{ title }}</th><th scope="col">Downloads</th></tr></thead><tbody>
{% for row in rows %}
<tr><td>{{ row.name }}</td><td>{{ "{:,}".format(row.downloads) }}</td></tr>
{% endfor %}
</tbody></table></details>
</figure>
{% endfor %}
</div>
{% if page.charts %}
<p class="note">Projects, Python versions and installers: downloads from {{ page.recent[0] }} to {{ page.recent[1] }}.</p>
{% endif %}
</section>
</main>
<footer><div>
<ul>
<li><a href="simple/">All projects</a></li>
<li><a href="status.json">Status as JSON</a></li>
<li><a href="metrics">Metrics</a></li>
<li><a href="healthz">Health</a></li>
{% if page.downloads %}
<li><a href="local-stats/days/">Statistics by day</a></li>
{% endif %}
</ul>
<p>Written {{ mark("now") }} by bandersnatch {{ page.version }}, after a run.</p>
</div></footer>
</body>
</html>
"""
)
