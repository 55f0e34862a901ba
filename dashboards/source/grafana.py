"""What the dashboards are made of, in the classic JSON of Grafana (schema version 39, which Grafana 10.4 and all later
ones import).

In expressions `@cgroup` stands for the matchers of the chosen jobs, instances and cgroups, `@below` for the same
without the root, which is the whole host and would dwarf the others, and `@` for those of jobs and instances.
"""

HOST = 'job=~"$job",instance=~"$instance"'
CGROUP = HOST + ',cgroup=~"$cgroup"'
BELOW = CGROUP + ',cgroup!="/"'
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

WIDTH = 24

# One cgroup of one host: what every series of a cgroup is told apart by.
EACH = "job, instance, cgroup"
OF_CGROUP = "{{cgroup}} · {{instance}}"

# One of one host.
BY_HOST = "{{instance}}"

GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"


def matchers(expression):
    return " ".join(expression.split()).replace("@below", BELOW).replace("@cgroup", CGROUP).replace("@", HOST)


def quantile(share, metric, by):
    """How large a value is that this share stays below; nothing (not NaN) where nothing was counted."""
    return (f"histogram_quantile({share}, sum by ({by}, le) (rate({metric}_bucket{{@}}[$__rate_interval]))) >= 0")


def steps(*above):
    """Thresholds: green, and each (value, colour) from there on."""
    return {"mode": "absolute", "steps": [{"color": GREEN, "value": None}] +
            [{"color": colour, "value": value} for value, colour in above]}


NEUTRAL = {"mode": "absolute", "steps": [{"color": "text", "value": None}]}


def to_cgroup(job, instance, cgroup):
    """A link from a number to the dashboard of its cgroup."""
    return [{
        "title": "This cgroup in depth",
        "url": f"/d/stockade-cgroup/?var-datasource=${{datasource}}&{job}"
               f"&var-instance={instance}&var-cgroup={cgroup}&${{__url_time_range}}",
    }]


LINK_OF_SERIES = to_cgroup(*(prefix + f"${{__field.labels.{name}:percentencode}}"
                             for prefix, name in (("var-job=", "job"), ("", "instance"), ("", "cgroup"))))
# The job is no column of a table: it stays what is chosen.
LINK_OF_ROW = to_cgroup("${job:queryparam}", "${__data.fields.instance:percentencode}",
                        "${__data.fields.cgroup:percentencode}")


def panel(kind, title, description, unit, width, height, queries, defaults, options, overrides=()):
    return {
        "type": kind,
        "title": title,
        "description": " ".join(description.split()),
        "datasource": DATASOURCE,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": {"unit": unit, **defaults}, "overrides": list(overrides)},
        "options": options,
        "targets": queries,
    }


def targets(queries, **more):
    return [
        {"refId": chr(ord("A") + number), "datasource": DATASOURCE, "expr": matchers(expression), **more, **also}
        for number, (expression, also) in enumerate(queries)
    ]


def stat(title, description, unit, *queries, width=4, height=4, thresholds=None, mappings=(), text="auto",
         no_value="none", decimals=None):
    """One number now, or one for each series; `no_value` says what it means that there is none.

    `decimals` is 0 for what was counted: `increase` extrapolates to the ends of its range, and gives fractions."""
    named = [(expression, {"legendFormat": legend}) for expression, legend in queries]
    defaults = {"thresholds": thresholds or NEUTRAL, "mappings": list(mappings), "noValue": no_value}
    if decimals is not None:
        defaults["decimals"] = decimals
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value" if thresholds else "none",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "showPercentChange": False,
        "textMode": text,
        "wideLayout": True,
    }
    return panel("stat", title, description, unit, width, height,
                 targets(named, range=False, instant=True), defaults, options)


def timeseries(title, description, unit, *queries, width=8, height=8, stacked=False, bars=False, most=None, dashed=(),
               cgroups=True, decimals=None):
    """Lines over time. `dashed` names the legends that are limits; `cgroups`: whether a line leads to its cgroup."""
    named = [(expression, {"legendFormat": legend}) for expression, legend in queries]
    custom = {
        "drawStyle": "bars" if bars else "line",
        "fillOpacity": 70 if bars else 25 if stacked else 8,
        "lineWidth": 1,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
    }
    defaults = {"custom": custom, "min": 0, "color": {"mode": "palette-classic"}}
    if most is not None:
        defaults["max"] = most
    if decimals is not None:
        defaults["decimals"] = decimals
    if cgroups:
        defaults["links"] = LINK_OF_SERIES
    overrides = [{
        "matcher": {"id": "byRegexp", "options": f"/^{legend}/"},
        "properties": [
            {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}},
            {"id": "custom.fillOpacity", "value": 0},
            {"id": "custom.stacking", "value": {"group": "A", "mode": "none"}},
        ],
    } for legend in dashed]
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"], "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, description, unit, width, height,
                 targets(named, range=True, instant=False), defaults, options, overrides)


def table(title, description, unit, *columns, width=WIDTH, height=9, hide=(), sort=None, labels=(), cgroups=True,
          decimals=None):
    """A row for each set of labels. `columns`: (expression, heading, unit, thresholds or None); `labels` come first."""
    wanted = [(expression, {}) for expression, *_ in columns]
    names = [f"Value #{chr(ord('A') + number)}" if len(columns) > 1 else "Value" for number in range(len(columns))]
    overrides = []
    for name, (_, heading, of, thresholds) in zip(names, columns):
        properties = [{"id": "displayName", "value": heading}, {"id": "unit", "value": of}]
        if decimals is not None:
            properties.append({"id": "decimals", "value": decimals})
        if thresholds:
            properties += [{"id": "thresholds", "value": thresholds},
                           {"id": "custom.cellOptions", "value": {"type": "color-text"}}]
        overrides.append({"matcher": {"id": "byName", "options": name}, "properties": properties})
    if cgroups:
        overrides.append({"matcher": {"id": "byName", "options": "cgroup"},
                          "properties": [{"id": "links", "value": LINK_OF_ROW}]})
    hidden = {name: True for name in ("Time", "__name__", *hide)}
    order = {name: number for number, name in enumerate([*labels, *names])}
    one = panel("table", title, description, unit, width, height,
                targets(wanted, format="table", range=False, instant=True),
                {"custom": {"align": "auto", "filterable": True}}, {
                    "frameIndex": 0,
                    "showHeader": True,
                    "sortBy": [{"displayName": sort, "desc": True}] if sort else [],
                }, overrides)
    organize = {"id": "organize", "options": {"excludeByName": hidden, "indexByName": order, "renameByName": {}}}
    one["transformations"] = [{"id": "merge", "options": {}}, organize]
    return one


def heatmap(title, description, unit, expression, width=12, height=8):
    """How often a histogram's buckets were hit, over time: `unit` is that of the buckets."""
    also = {"legendFormat": "{{le}}", "format": "heatmap"}
    return panel("heatmap", title, description, unit, width, height,
                 targets([(expression, also)], range=True, instant=False), {}, {
                     "calculate": False,
                     "cellGap": 1,
                     "color": {"exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "reverse": False,
                               "scale": "exponential", "scheme": "Oranges", "steps": 64},
                     "exemplars": {"color": "rgba(255,0,255,0.7)"},
                     "filterValues": {"le": 1e-9},
                     "legend": {"show": True},
                     "rowsFrame": {"layout": "auto"},
                     "showValue": "never",
                     "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": False},
                     "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
                 })


def row(title, *panels, collapsed=False):
    """A heading with panels below it. What is collapsed asks Prometheus nothing until somebody opens it."""
    return title, panels, collapsed


def variable(name, label, source, include_all=True):
    query = f"label_values({matchers(source)}, {name})"
    made = {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "regex": "",
        "sort": 1,
        # Several may be chosen everywhere: of these alone Grafana escapes what has a meaning in a regular expression,
        # such as the `\x2d` in a unit's name.
        "multi": True,
        "includeAll": include_all,
        "options": [],
        "hide": 0,
    }
    if include_all:
        made["allValue"] = ".+"
        made["current"] = {"text": ["All"], "value": ["$__all"]}
    return made


def variables(cgroup):
    """`cgroup`: "all" has an All, "one" has none, "no" leaves the variable out."""
    source = {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
    }
    made = [
        source,
        variable("job", "Job", "stockade_build_info"),
        variable("instance", "Instance", 'stockade_build_info{job=~"$job"}'),
    ]
    if cgroup != "no":
        made.append(variable("cgroup", "Cgroup", "cgroup_info{@}", cgroup == "all"))
    return made


def annotation(name, colour, expression, title, enabled=True):
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": enabled,
        "hide": False,
        "iconColor": colour,
        "target": {"refId": "Anno", "expr": matchers(expression), "legendFormat": title},
        "titleFormat": title,
    }


ANNOTATIONS = [
    annotation("Kills by a policy", RED, """sum by (instance, policy) (increase(stockade_decisions_total{@,
               action="kill",outcome="applied"}[$__rate_interval])) > 0""", "{{policy}} killed on {{instance}}"),
    annotation("Freezes by a policy", BLUE, """sum by (instance, policy) (increase(stockade_decisions_total{@,
               action="freeze",outcome="applied"}[$__rate_interval])) > 0""", "{{policy}} froze on {{instance}}",
               False),
    annotation("Starts of Stockade", "purple", """changes(process_start_time_seconds{@}[$__rate_interval]) > 0""",
               "Stockade started on {{instance}}", False),
]


def dashboard(uid, title, description, rows, cgroup="all"):
    """A whole dashboard: the panels of each row flow from left to right, and on below where they do not fit."""
    panels = []
    number, y = 1, 0
    for heading, members, collapsed in rows:
        head = {"type": "row", "title": heading, "collapsed": collapsed, "id": number,
                "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}, "panels": []}
        panels.append(head)
        number, y = number + 1, y + 1
        x, tallest = 0, 0
        for member in members:
            size = member["gridPos"]
            if x + size["w"] > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            member["gridPos"] = {"x": x, "y": y, **size}
            member["id"] = number
            number, x, tallest = number + 1, x + size["w"], max(tallest, size["h"])
            (head["panels"] if collapsed else panels).append(member)
        y += tallest
    return {
        "uid": uid,
        "title": f"Stockade / {title}",
        "description": " ".join(description.split()),
        "tags": ["stockade", "cgroup"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "browser",
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "weekStart": "",
        "links": [{
            "type": "dashboards", "title": "Stockade", "tags": ["stockade"], "asDropdown": False,
            "icon": "external link", "includeVars": True, "keepTime": True,
            "targetBlank": False, "tooltip": "", "url": "",
        }],
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "annotations": {"list": ANNOTATIONS},
        "templating": {"list": variables(cgroup)},
        "panels": panels,
    }
