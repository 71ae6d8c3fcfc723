// Numbers as text, elements, and what is known of columns.

const TEXT_COLUMNS = new Set(["network", "hardware", "layer", "block", "op", "kind", "shape", "dataflow", "bound",
  "energy_unit", "pareto", "limit"]);
const SHARES = new Set(["utilization", "time_share"]);
const PREFIXES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

function engineering(value) {
  for (const [factor, prefix] of PREFIXES) {
    if (Math.abs(value) >= 0.9995 * factor) return `${(value / factor).toPrecision(3)} ${prefix}`;
  }
  return Number.isInteger(value) ? String(value) : value.toPrecision(3);
}

function cellText(column, value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (SHARES.has(column)) return `${(100 * value).toFixed(1)}%`;
  if (column.startsWith("relative_")) return value.toFixed(2);
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  if (Math.abs(value) >= 1e4) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(4)));
}

// What a unit is called beside a value: energies are in the hardware's own unit.
function unitOf(description, energyUnit) {
  return description.unit.replace("energy unit", energyUnit === "MAC" ? "MAC energies" : energyUnit);
}

function tooltip(name, description, energyUnit) {
  const unit = unitOf(description, energyUnit);
  return `${name}${unit ? ` [${unit}]` : ""}: ${description.help}`;
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "className") element.className = value;
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function fillSelect(select, values, chosen, labels = {}) {
  select.replaceChildren(...values.map((value) => make("option", { value, selected: value === chosen }, labels[value] ?? value)));
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const unique = (values) => [...new Set(values)];

function currentResult() {
  return data.results.find((result) => result.network === state.network && result.hardware === state.hardware)
    ?? data.results[0];
}

function allEnergyUnits() {
  return unique(data.results.map((result) => result.energy_unit)).join(" or ");
}

// Energies in different units cannot stand on one axis: then the accelerators are left that count as the chosen one does.
function comparable(rows, description) {
  const unit = currentResult().energy_unit;
  return description.unit.includes("energy unit") ? rows.filter((row) => row.energy_unit === unit) : rows;
}

function leftOut(rows, shown) {
  const names = unique(rows.filter((row) => !shown.includes(row)).map((row) => row.hardware));
  return names.length ? `not shown, as their unit of energy is another: ${names.join(", ")}` : "";
}

// Layers of one shape, in the order of the first of each; every layer by itself when they are not put together.
function groupsOf(result) {
  if (!state.grouped) return result.shapes.map((shape, index) => [index]);
  const groups = new Map();
  result.shapes.forEach((shape, index) => groups.set(shape, [...(groups.get(shape) ?? []), index]));
  return [...groups.values()];
}

function groupName(result, group) {
  const name = result.layers.layer[group[0]];
  return group.length > 1 ? `${name} \u00d7${group.length}` : name;
}
