// The tables: networks and accelerators, and the layers of one result, sorted and filtered.

function headCell(name, description, energyUnit, sort, onSort) {
  const direction = sort.column === name ? (sort.descending ? "descending" : "ascending") : null;
  const unit = unitOf(description, energyUnit);
  return make("th", { scope: "col", className: TEXT_COLUMNS.has(name) ? "text" : "", "aria-sort": direction, "data-column": name },
    make("button", { type: "button", title: tooltip(name, description, energyUnit), onclick: () => onSort(name) },
      make("span", {}, name.replaceAll("_", " ")), make("span", { className: "unit" }, unit)));
}

// Numbers start with the largest, names with A; a second time turns it round; a third restores the network's order.
function nextSort(sort, column) {
  const first = !TEXT_COLUMNS.has(column);
  if (sort.column !== column) return { column, descending: first };
  return sort.descending === first ? { column, descending: !first } : { column: null, descending: false };
}

function sorted(rows, sort) {
  if (!sort.column) return rows;
  const factor = sort.descending ? -1 : 1;
  const order = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  return [...rows].sort((a, b) => {
    const [first, second] = [a[sort.column], b[sort.column]];
    if (first === null || second === null) return (first === null) - (second === null);
    return factor * order(first, second);
  });
}

let summarySort = { column: null, descending: false };

function drawSummary() {
  const names = Object.keys(data.totals);
  const units = allEnergyUnits();
  const head = make("thead", {}, make("tr", {}, ...names.map((name) => headCell(name, data.totals[name], units, summarySort, (column) => {
    summarySort = nextSort(summarySort, column);
    drawSummary();
  }))));
  const body = make("tbody", {}, ...sorted(data.rows, summarySort).map((row) => make("tr", {
    className: `link${row.network === state.network && row.hardware === state.hardware ? " current" : ""}`,
    onclick: () => choose(row.network, row.hardware),
  }, ...names.map((name) => make("td", { className: TEXT_COLUMNS.has(name) ? "text" : "" }, name === "network"
    ? make("button", { type: "button", className: "name", title: `show the layers of ${pairName(row)}` }, row.network) : cellText(name, row[name])))))); 
  byId("summary").replaceChildren(head, body);
}

function drawCards() {
  const row = data.rows.find((entry) => entry.network === state.network && entry.hardware === state.hardware) ?? data.rows[0];
  const result = currentResult();
  const { layers } = result;
  const share = (column, value) => {
    const part = sum(layers.cycles.filter((_, at) => layers[column][at] === value));
    return (100 * part) / row.cycles;
  };
  const bound = unique(layers.bound).sort((a, b) => share("bound", b) - share("bound", a))[0];
  const dram = (100 * sum(layers.energy_dram ?? [])) / (row.energy || 1);
  const entries = [
    [`${cellText("time_ms", row.time_ms)} ms`, `${row.cycles.toLocaleString("en-US")} cycles`, "time_ms"],
    [engineering(row.energy), `${unitOf({ unit: "energy unit" }, row.energy_unit)}, ${dram.toFixed(0)}% of it in DRAM`, "energy"],
    [cellText("utilization", row.utilization), "of the array's MACs per cycle", "utilization"],
    [`${share("bound", bound).toFixed(0)}% of the time`, `in layers bound by ${bound}`, null],
    [`${engineering(row.macs)} MACs`, `${engineering(row.params)} parameters`, "macs"],
  ];
  byId("cards").replaceChildren(...entries.map(([value, label, key]) => make("div", {
    className: "card", title: key ? tooltip(key, data.totals[key], row.energy_unit) : "Share of the network's cycles in layers that wait for this most",
  }, make("b", {}, value), make("span", {}, label))));
}

function layerRows(result) {
  return result.shapes.map((_, index) => {
    const row = { index };
    for (const [name, values] of Object.entries(result.layers)) row[name] = values[index];
    return row;
  });
}

function shownRows(result) {
  const words = state.filters.text.toLowerCase().split(/\s+/).filter(Boolean);
  const searched = unique(["layer", "block", "op", "kind", "shape", "dataflow", "bound", ...state.columns]);
  const rows = layerRows(result).filter((row) => ["kind", "bound", "dataflow"].every((name) => !state.filters[name] || row[name] === state.filters[name])
    && words.every((word) => searched.some((name) => String(row[name]).toLowerCase().includes(word))));
  return sorted(rows, state.sort);
}

function drawTable() {
  const result = currentResult();
  const rows = shownRows(result);
  const head = make("thead", {}, make("tr", {}, ...state.columns.map((name) => headCell(name, data.columns[name], result.energy_unit, state.sort, (column) => {
    state.sort = nextSort(state.sort, column);
    drawTable();
  }))));
  const body = make("tbody", {}, ...rows.map((row) => make("tr", { className: "link", "data-index": row.index, onclick: () => openLayer(row.index) },
    ...state.columns.map((name) => make("td", { className: TEXT_COLUMNS.has(name) ? "text" : "" }, name === "layer"
      ? make("button", { type: "button", className: "name", title: "show the loop nest" }, row.layer) : cellText(name, row[name]))))));
  byId("table").replaceChildren(head, body);
  byId("shown").textContent = `${rows.length} of ${result.shapes.length} layers, ${((100 * sum(rows.map((row) => row.cycles))) / sum(result.layers.cycles)).toFixed(1)}% of the time`;
}

function drawFilters() {
  const result = currentResult();
  for (const name of ["kind", "bound", "dataflow"]) {
    const values = unique(result.layers[name]);
    if (!values.includes(state.filters[name])) state.filters[name] = "";
    fillSelect(byId(`filter-${name}`), ["", ...values], state.filters[name], { "": "all" });
  }
}

function drawColumnMenu() {
  byId("columns").replaceChildren(...Object.keys(data.columns).map((name) => make("label", { title: tooltip(name, data.columns[name], currentResult().energy_unit) },
    make("input", { type: "checkbox", checked: state.columns.includes(name), onchange: (event) => {
      state.columns = Object.keys(data.columns).filter((column) => (column === name ? event.target.checked : state.columns.includes(column)));
      if (!state.columns.includes("layer")) state.columns.unshift("layer");
      drawTable();
    } }), name.replaceAll("_", " "))));
}

function downloadTable() {
  const quoted = (value) => (/[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? ""));
  const result = currentResult();
  const lines = [state.columns, ...shownRows(result).map((row) => state.columns.map((name) => row[name]))];
  const blob = new Blob([`${lines.map((line) => line.map(quoted).join(",")).join("\n")}\n`], { type: "text/csv" });
  const link = make("a", { href: URL.createObjectURL(blob), download: `${result.network}_${result.hardware}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
