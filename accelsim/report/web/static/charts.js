// The charts. Colours are Okabe and Ito's, which the colour-blind can tell apart; patterns and symbols say the same again.

const PALETTE = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#999999"];
const PARTS = {
  compute_cycles: ["array works", "#0072B2"], stall_cycles: ["waiting for DRAM", "#E69F00"],
  energy_mac: ["MAC units", "#0072B2"], energy_rf: ["registers", "#56B4E9"], energy_noc: ["links between PEs", "#CC79A7"],
  energy_glb: ["global buffer", "#009E73"], energy_dram: ["DRAM", "#E69F00"],
  dram_weights: ["weights", "#0072B2"], dram_inputs: ["inputs", "#56B4E9"],
  dram_partial_sums: ["partial sums read back", "#CC79A7"], dram_outputs: ["outputs, partial sums among them", "#E69F00"],
  glb_read_words: ["read", "#009E73"], glb_write_words: ["written", "#F0E442"],
};
const KINDS = {
  standard: ["#0072B2", "circle"], pointwise: ["#009E73", "square"], depthwise: ["#D55E00", "triangle-down"],
  grouped: ["#CC79A7", "triangle-up"], linear: ["#E69F00", "diamond"], other: ["#999999", "x"],
};
const BOUNDS = { compute: "#0072B2", dram: "#E69F00", glb: "#009E73" };
const PATTERNS = ["", "/", ".", "x", "-", "+"];
const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };

const PRINTED_WIDTH = 680;  // pixels: a sheet of A4 or Letter between its margins
let printing = false;

const colourOf = (property) => getComputedStyle(document.documentElement).getPropertyValue(property).trim();
const narrow = () => window.matchMedia("(max-width: 760px)").matches;

function partName(part) { return PARTS[part]?.[0] ?? part.replaceAll("_", " "); }
function partColour(part, index) { return PARTS[part]?.[1] ?? PALETTE[index % PALETTE.length]; }

function layout(extra = {}) {
  const axis = { gridcolor: colourOf("--line"), zerolinecolor: colourOf("--line"), linecolor: colourOf("--line"), automargin: true };
  const { xaxis = {}, yaxis = {}, ...rest } = extra;
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colourOf("--ink"), family: "system-ui, 'DejaVu Sans', sans-serif", size: narrow() ? 11 : 12 },
    margin: { l: 60, r: 12, t: 12, b: 44 }, hovermode: "closest", dragmode: "zoom", bargap: 0.22,
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    ...(printing ? { width: PRINTED_WIDTH, autosize: false } : { autosize: true }),
    hoverlabel: { bgcolor: colourOf("--panel"), bordercolor: colourOf("--line"), font: { color: colourOf("--ink") } },
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest,
  };
}

function draw(id, traces, extra, onPick) {
  const element = byId(id);
  Plotly.react(element, traces, layout(extra), CONFIG);
  element.removeAllListeners("plotly_click");
  if (onPick) element.on("plotly_click", (event) => onPick(event.points[0]));
}

function layerValues(result, group, column, addsUp) {
  const values = group.map((index) => result.layers[column][index]);
  return addsUp ? sum(values) : values[0];
}

function metricUnit(metric, result) {
  return metric.key === "utilization" ? "% of PE cycles" : unitOf(metric, result.energy_unit);
}

function drawLayers() {
  const result = currentResult();
  const metric = data.metrics.find((entry) => entry.key === state.metric);
  const groups = groupsOf(result);
  const names = groups.map((group) => groupName(result, group));
  const unit = metricUnit(metric, result);
  byId("metric-help").textContent = `${metric.title} [${unit || "none"}]: ${metric.help}`
    + (state.grouped && metric.adds_up ? " A bar is the sum over layers of one shape." : "");
  const traces = metric.parts.length ? stackedBars(result, metric, groups, names, unit)
    : barsByBound(result, metric, groups, names, unit);
  draw("layer-chart", [...traces, ...dataflowStrip(result, groups, names)], {
    barmode: "stack",
    xaxis: { anchor: "y2", ...nameTicks("layer-chart", names), tickangle: -90,
      range: [-0.7, names.length - 0.3], tickfont: { size: names.length > 45 ? 8 : 10 } },
    yaxis: { title: { text: `${metric.title} (${unit})` }, domain: [0.09, 1], rangemode: "tozero", tickformat: "~s" },
    yaxis2: { domain: [0, 0.05], range: [0, 1], visible: false, fixedrange: true },
    margin: { l: 64, r: 12, t: 12, b: 44 },
  }, (point) => openLayer(groups[point.x][0]));
}

// As many names as have room beside each other: all of them on a wide screen.
function nameTicks(id, names) {
  const step = Math.max(1, Math.ceil((names.length * 11) / Math.max(byId(id).clientWidth - 80, 100)));
  const shown = names.map((_, index) => index).filter((index) => index % step === 0);
  return { tickvals: shown, ticktext: shown.map((index) => shortName(names[index])) };
}

function shortName(name) {
  return name.length <= 34 ? name : `${name.slice(0, 16)}\u2026${name.slice(-16)}`;
}

function stackedBars(result, metric, groups, names, unit) {
  const totals = groups.map((group) => sum(metric.parts.map((part) => layerValues(result, group, part, metric.adds_up))));
  const parts = metric.parts.filter((part) => groups.some((group) => layerValues(result, group, part, true) > 0));
  return parts.map((part, index) => {
    const values = groups.map((group) => layerValues(result, group, part, metric.adds_up));
    return {
      type: "bar", name: partName(part), x: names.map((_, at) => at), y: values,
      marker: { color: partColour(part, index) },
      customdata: names.map((name, at) => [name, engineering(values[at]), engineering(totals[at]), layerLine(result, groups[at])]),
      hovertemplate: `<b>%{customdata[0]}</b><br>%{fullData.name}: %{customdata[1]} ${unit}<br>all: %{customdata[2]} ${unit}<br>%{customdata[3]}<extra></extra>`,
    };
  });
}

function layerLine(result, group) {
  const at = group[0];
  return ["kind", "shape", "dataflow"].map((column) => result.layers[column][at]).join(", ") + `<br>bound by ${result.layers.bound[at]}`;
}

function barsByBound(result, metric, groups, names, unit) {
  const factor = metric.key === "utilization" ? 100 : 1;
  const bounds = unique(result.layers.bound);
  return bounds.map((bound, index) => {
    const chosen = groups.map((group, at) => at).filter((at) => result.layers.bound[groups[at][0]] === bound);
    const values = chosen.map((at) => factor * layerValues(result, groups[at], metric.key, metric.adds_up));
    return {
      type: "bar", name: `bound by ${bound}`, x: chosen, y: values,
      marker: { color: BOUNDS[bound] ?? PALETTE[(index + 4) % PALETTE.length] },
      customdata: chosen.map((at, place) => [names[at], engineering(values[place]), layerLine(result, groups[at])]),
      hovertemplate: `<b>%{customdata[0]}</b><br>%{customdata[1]} ${unit}<br>%{customdata[2]}<extra></extra>`,
    };
  });
}

function dataflowStrip(result, groups, names) {
  return result.dataflows.map((dataflow, index) => {
    const chosen = names.map((_, at) => at).filter((at) => result.layers.dataflow[groups[at][0]] === dataflow);
    return {
      type: "bar", name: `dataflow ${dataflow}`, x: chosen, y: chosen.map(() => 1), yaxis: "y2", width: 1,
      marker: { color: index ? colourOf("--paper") : "#999999", line: { color: "#777777", width: 0.5 },
        pattern: { shape: PATTERNS[index % PATTERNS.length], fgcolor: "#777777", size: 5 } },
      customdata: chosen.map((at) => names[at]), hovertemplate: `<b>%{customdata}</b><br>dataflow ${dataflow}<extra></extra>`,
    };
  }).filter((trace) => trace.x.length);
}

function drawShares() {
  const result = currentResult();
  const { layers } = result;
  const sources = { macs: layers.macs, cycles: layers.cycles, energy: layers.energy,
    dram_words: layers.dram_read_words.map((words, at) => words + layers.dram_write_words[at]), weights: layers.weights };
  const labels = { macs: "MACs", cycles: "time", energy: "energy", dram_words: "DRAM words", weights: "weights" };
  const keys = Object.keys(sources).reverse();
  const names = unique(layers[state.split]);
  const traces = names.map((name, index) => {
    const values = keys.map((key) => sum(sources[key].filter((_, at) => layers[state.split][at] === name)));
    const shares = values.map((value, at) => (100 * value) / (sum(sources[keys[at]]) || 1));
    return {
      type: "bar", orientation: "h", name, y: keys.map((key) => labels[key]), x: shares,
      marker: { color: shareColour(name, index, result), line: { color: colourOf("--paper"), width: 1 } },
      text: shares.map((share) => (share >= 6 ? `${share.toFixed(0)}%` : "")), textposition: "inside", insidetextanchor: "middle",
      customdata: keys.map((key, at) => [`${engineering(values[at])} ${unitOf(data.shares[key], result.energy_unit)}`, data.shares[key].help]),
      hovertemplate: `<b>${name}</b>: %{x:.1f}% of %{y}<br>%{customdata[0]}<br>%{customdata[1]}<extra></extra>`,
    };
  });
  draw("share-chart", traces, { barmode: "stack", xaxis: { range: [0, 100], ticksuffix: "%", title: { text: "share of the network" } },
    margin: { l: 84, r: 12, t: 12, b: 44 } });
}

function shareColour(name, index, result) {
  if (state.split === "kind") return KINDS[name]?.[0] ?? PALETTE[index % PALETTE.length];
  if (state.split === "bound") return BOUNDS[name] ?? PALETTE[(index + 4) % PALETTE.length];
  return PALETTE[result.dataflows.indexOf(name) % PALETTE.length];
}

function drawRoofline() {
  const result = currentResult();
  const { points, roofs } = result;
  const key = state.level === "dram" ? "macs_per_dram_byte" : "macs_per_array_byte";
  const bandwidth = state.level === "dram" ? roofs.dram : roofs.buffer;
  const drawn = points.filter((point) => point[key] !== null);
  const highest = Math.max(roofs.peak, ...points.map((point) => point.peak));
  const low = Math.min(...drawn.map((point) => point[key])) / 1.8;
  const high = Math.max(...drawn.map((point) => Math.max(point[key], point.ideal_macs_per_byte)), bandwidth ? highest / bandwidth : 0) * 2;
  const traces = roofTraces(roofs.peak, highest, bandwidth, low, high);
  for (const kind of unique(drawn.map((point) => point.kind))) {
    const chosen = drawn.filter((point) => point.kind === kind);
    traces.push({
      type: "scatter", mode: "markers", name: kind, x: chosen.map((point) => point[key]), y: chosen.map((point) => point.reached),
      marker: { color: KINDS[kind]?.[0], symbol: KINDS[kind]?.[1], opacity: 0.8, line: { color: colourOf("--paper"), width: 1 },
        size: chosen.map((point) => 7 + 40 * Math.sqrt(point.time_share)) },
      customdata: chosen.map((point) => [point.layer, point.repeats, point.reached.toPrecision(3), point.attainable.toPrecision(3),
        point.limit, point[key].toPrecision(3), point.ideal_macs_per_byte.toPrecision(3), (100 * point.time_share).toFixed(1)]),
      hovertemplate: "<b>%{customdata[0]}</b> \u00d7%{customdata[1]}, %{customdata[7]}% of the time<br>reaches %{customdata[2]} of "
        + "%{customdata[3]} MACs/cycle (limit: %{customdata[4]})<br>%{customdata[5]} MACs/byte here, %{customdata[6]} if every word moved once<extra></extra>",
    });
  }
  draw("roofline-chart", traces, {
    xaxis: { type: "log", range: [Math.log10(low), Math.log10(high)], title: { text: state.level === "dram" ? "MACs per byte to and from DRAM" : "MACs per byte between buffer and array" }, dtick: 1 },
    yaxis: { type: "log", title: { text: "MACs per cycle" }, dtick: 1 },
  }, (point) => { if (point.customdata) openLayer(result.layers.layer.indexOf(point.customdata[0])); });
}

function roofTraces(peak, highest, bandwidth, low, high) {
  const line = (name, x, y, dash) => ({ type: "scatter", mode: "lines", name, x, y, line: { color: colourOf("--ink"), width: 1.4, dash }, hoverinfo: "name" });
  const traces = [line(`${engineering(peak)} MACs/cycle of the PEs`, [low, high], [peak, peak], "solid")];
  if (highest > 1.001 * peak) traces.push(line(`${engineering(highest)} with zeros skipped`, [low, high], [highest, highest], "dash"));
  if (bandwidth) traces.push(line(`${engineering(bandwidth)} bytes/cycle`, [low, highest / bandwidth], [low * bandwidth, highest], "solid"));
  return traces.map((trace) => ({ ...trace, showlegend: !narrow() }));
}

const pairName = (row) => `${row.network} on ${row.hardware}`;

function drawTotals() {
  const description = data.totals[state.totalMetric];
  const machines = unique(data.rows.map((row) => row.hardware));
  const unit = unitOf(description, currentResult().energy_unit);
  const factor = state.totalMetric === "utilization" ? 100 : 1;
  const shown = comparable(data.rows, description);
  byId("totals-note").textContent = leftOut(data.rows, shown);
  const traces = machines.flatMap((machine, index) => {
    const rows = shown.filter((row) => row.hardware === machine);
    return !rows.length ? [] : {
      type: "bar", name: machine, x: rows.map((row) => row.network), y: rows.map((row) => factor * row[state.totalMetric]),
      marker: { color: PALETTE[index % PALETTE.length] },
      customdata: rows.map((row) => [cellText(state.totalMetric, row[state.totalMetric])]),
      hovertemplate: `<b>%{x}</b> on ${machine}<br>%{customdata[0]} ${unit}<extra></extra>`,
    };
  });
  draw("totals-chart", traces, { barmode: "group", yaxis: { title: { text: `${state.totalMetric.replaceAll("_", " ").replace(/ (ms|percent)$/, "")}${unit ? ` (${factor === 100 ? "%" : unit})` : factor === 100 ? " (%)" : ""}` }, rangemode: "tozero" } },
    (point) => choose(point.x, point.data.name));
}

function drawAccuracy() {
  const published = data.rows.filter((row) => row.top1_percent !== null);
  byId("accuracy-figure").hidden = published.length < 2;
  if (published.length < 2) return;
  const rows = comparable(published, data.totals[state.cost]);
  byId("accuracy-note").textContent = leftOut(published, rows);
  const largest = Math.max(...published.map((row) => row.params));
  const unit = unitOf(data.totals[state.cost], currentResult().energy_unit);
  const traces = unique(published.map((row) => row.hardware)).flatMap((machine, index) => {
    const chosen = rows.filter((row) => row.hardware === machine);
    if (!chosen.length) return [];
    const mark = state.cost === "time_ms" ? "time" : "energy";
    const front = chosen.filter((row) => row.pareto.split(" ").includes(mark)).sort((a, b) => a[state.cost] - b[state.cost]);
    const colour = PALETTE[index % PALETTE.length];
    return [
      { type: "scatter", mode: narrow() || machine !== state.hardware ? "markers" : "markers+text", name: machine, x: chosen.map((row) => row[state.cost]), y: chosen.map((row) => row.top1_percent),
        text: chosen.map((row) => row.network), textposition: labelPlaces(chosen.map((row) => row[state.cost])), textfont: { size: 10 }, cliponaxis: false,
        marker: { color: colour, opacity: 0.65, size: chosen.map((row) => 8 + 42 * Math.sqrt(row.params / largest)), line: { color: colourOf("--paper"), width: 1 } },
        customdata: chosen.map((row) => [pairName(row), cellText(state.cost, row[state.cost]), row.top1_percent, engineering(row.params), row.pareto || "none"]),
        hovertemplate: "<b>%{customdata[0]}</b><br>top-1 %{customdata[2]}% (published)<br>%{x:.4s} " + unit
          + "<br>%{customdata[3]} parameters<br>not beaten in: %{customdata[4]}<extra></extra>" },
      { type: "scatter", mode: "lines", name: `front on ${machine}`, x: front.map((row) => row[state.cost]), y: front.map((row) => row.top1_percent),
        line: { color: colour, dash: "dash", width: 1.2 }, hoverinfo: "skip", showlegend: false },
    ];
  });
  draw("accuracy-chart", traces, {
    xaxis: { title: { text: `${state.cost === "time_ms" ? "time" : "energy"} (${unit})` }, rangemode: "tozero" },
    yaxis: { title: { text: "published top-1 accuracy (%)" } },
  }, (point) => { const row = rows.find((entry) => point.customdata && pairName(entry) === point.customdata[0]); if (row) choose(row.network, row.hardware); });
}

// Names of neighbours go above and below by turns, from the cheapest to the dearest network.
function labelPlaces(costs) {
  const order = costs.map((_, at) => at).sort((a, b) => costs[a] - costs[b]);
  return costs.map((_, at) => (order.indexOf(at) % 2 ? "bottom center" : "top center"));
}

function drawAll() {
  drawAccuracy();
  drawTotals();
  drawLayers();
  drawShares();
  drawRoofline();
}
