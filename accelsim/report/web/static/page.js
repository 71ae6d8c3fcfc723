// Ties the controls to the state, and the state to what is drawn.

function choose(network, hardware, afterwards = (draw) => draw()) {
  state.network = network;
  state.hardware = hardware;
  drawResult(afterwards);
}

// Numbers are drawn at once; the charts when `afterwards` says so.
function drawResult(afterwards = (draw) => draw()) {
  fillSelect(byId("network"), unique(data.results.map((result) => result.network)), state.network);
  fillSelect(byId("hardware"), unique(data.results.map((result) => result.hardware)), state.hardware);
  drawSummary();
  drawCards();
  drawFilters();
  drawColumnMenu();
  drawTable();
  drawAssumptions();
  afterwards(drawAll);
}

function drawAssumptions() {
  const machines = unique(data.results.map((result) => result.hardware));
  byId("assumptions").replaceChildren(...machines.map((name) => {
    const result = data.results.find((entry) => entry.hardware === name);
    const { config } = result;
    const terms = Object.entries(config.assumptions ?? {}).flatMap(([path, reason]) => [make("dt", {}, make("code", {}, path)), make("dd", {}, reason)]);
    const ignored = unique(data.results.filter((entry) => entry.hardware === name).flatMap((entry) => entry.not_charged));
    return make("details", {}, make("summary", {}, `${name}: description, assumptions`),
      make("p", {}, config.description ?? ""), config.source ? make("p", { className: "hint" }, `Source: ${config.source}`) : null,
      ignored.length ? make("p", {}, `Not charged (data_operations: ${config.data_operations}): ${ignored.join(", ")}.`) : null,
      terms.length ? make("dl", { className: "definitions" }, ...terms) : null,
      make("details", {}, make("summary", {}, "all fields"), make("pre", {}, JSON.stringify(config, null, 1))));
  }));
  byId("inputs").replaceChildren(make("dl", { className: "provenance" }, ...data.results.flatMap((result) => [
    make("dt", {}, `${result.network} on ${result.hardware}`),
    make("dd", {}, `${Object.entries(result.options).map(([name, value]) => `${name} ${value}`).join(", ")}; layers sha256 ${result.network_sha256.slice(0, 16)}, `
      + `hardware sha256 ${result.hardware_sha256.slice(0, 16)}${result.facts.length ? `; facts: ${unique(result.facts.map((fact) => fact.source)).join("; ")}` : ""}`),
  ])));
}

function onChange(id, action) {
  byId(id).addEventListener(byId(id).type === "search" ? "input" : "change", (event) => action(event.target));
}

function prepare() {
  state.network = data.results[0].network;
  state.hardware = data.results[0].hardware;
  fillSelect(byId("metric"), data.metrics.map((metric) => metric.key), state.metric, Object.fromEntries(data.metrics.map((metric) => [metric.key, metric.title])));
  fillSelect(byId("total-metric"), Object.keys(data.totals).filter((name) => !TEXT_COLUMNS.has(name) && name !== "top1_percent"), state.totalMetric,
    Object.fromEntries(Object.keys(data.totals).map((name) => [name, name.replaceAll("_", " ")])));
  onChange("network", (select) => choose(select.value, data.results.some((result) => result.network === select.value && result.hardware === state.hardware)
    ? state.hardware : data.results.find((result) => result.network === select.value).hardware));
  onChange("hardware", (select) => choose(data.results.some((result) => result.network === state.network && result.hardware === select.value)
    ? state.network : data.results.find((result) => result.hardware === select.value).network, select.value));
  onChange("metric", (select) => { state.metric = select.value; drawLayers(); });
  onChange("grouped", (box) => { state.grouped = box.checked; drawLayers(); });
  onChange("split", (select) => { state.split = select.value; drawShares(); });
  onChange("level", (select) => { state.level = select.value; drawRoofline(); });
  onChange("total-metric", (select) => { state.totalMetric = select.value; drawTotals(); });
  onChange("accuracy-cost", (select) => { state.cost = select.value; drawAccuracy(); });
  onChange("find", (input) => { state.filters.text = input.value; drawTable(); });
  for (const name of ["kind", "bound", "dataflow"]) onChange(`filter-${name}`, (select) => { state.filters[name] = select.value; drawTable(); });
  byId("download").addEventListener("click", downloadTable);
  prepareLayer();
  prepareTheme();
  drawResult();
  if (typeof prepareLive === "function") prepareLive();
}

function prepareTheme() {
  const apply = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    drawAll();
  };
  onChange("theme", (select) => apply(select.value));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
  window.addEventListener("beforeprint", () => { printing = true; apply("light"); });
  window.addEventListener("afterprint", () => { printing = false; apply(byId("theme").value); });
  window.matchMedia("(max-width: 760px)").addEventListener("change", () => drawAll());
}
