// One layer: its numbers, its loop nest, and what it keeps in the buffers.

const OPERANDS = { W: ["weights", "#0072B2"], I: ["inputs", "#56B4E9"], O: ["outputs", "#E69F00"] };
let openIndex = null;

function openLayer(index) {
  openIndex = index;
  const result = currentResult();
  const { layers } = result;
  const detail = result.details[result.shapes[index]];
  const equal = result.shapes.filter((shape) => shape === result.shapes[index]).length;
  byId("layer-title").textContent = `${layers.layer[index]}: ${layers.kind[index]} ${layers.shape[index]}`;
  byId("layer-body").replaceChildren(
    make("p", { className: "hint" }, `layer ${index + 1} of ${layers.layer.length} of ${result.network} on ${result.hardware}`
      + (equal > 1 ? `; ${equal} layers have this shape` : "")),
    make("h3", {}, "Loop nest, outermost first"), make("pre", {}, detail.nest),
    ...detail.fills.length ? [make("h3", {}, "What the buffers hold at most")] : [],
    ...detail.fills.map((fill) => fillPicture(fill, detail.word_bytes)),
    make("h3", {}, "Numbers"), factList(result, index));
  byId("layer-previous").disabled = index === 0;
  byId("layer-next").disabled = index === layers.layer.length - 1;
  if (!byId("layer").open) byId("layer").showModal();
}

function fillPicture(fill, wordBytes) {
  const used = sum(Object.values(fill.words));
  const percent = (words) => (100 * words) / fill.capacity_words;
  const kib = (words) => `${((words * wordBytes) / 1024).toPrecision(3)} KiB`;
  const operands = Object.keys(fill.words);
  const track = make("div", { className: "track", role: "img", "aria-label": `${fill.memory} is ${percent(used).toFixed(0)}% full` });
  for (const name of operands) {
    const part = make("span", { title: `${OPERANDS[name][0]}: ${fill.words[name].toLocaleString("en-US")} words, ${percent(fill.words[name]).toFixed(1)}%` });
    part.style.width = `${percent(fill.words[name])}%`;
    part.style.background = OPERANDS[name][1];
    track.append(part);
  }
  const entries = operands.map((name) => {
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = OPERANDS[name][1];
    return make("li", {}, swatch, `${OPERANDS[name][0]} ${fill.words[name].toLocaleString("en-US")} words (tile ${fill.tiles[name]})`);
  });
  return make("div", { className: "fill" },
    make("div", {}, `${fill.memory}: ${percent(used).toFixed(1)}% of ${fill.capacity_words.toLocaleString("en-US")} words (${kib(fill.capacity_words)}), `
      + "both halves of what is double-buffered counted"),
    track, make("ul", {}, ...entries));
}

function factList(result, index) {
  const list = make("dl", { className: "facts" });
  for (const [name, description] of Object.entries(data.columns)) {
    if (["network", "hardware", "layer", "shape"].includes(name)) continue;
    const unit = unitOf(description, result.energy_unit);
    const text = cellText(name, result.layers[name][index]);
    if (text === "") continue;
    list.append(make("div", { title: tooltip(name, description, result.energy_unit) },
      make("dt", {}, name.replaceAll("_", " ")), make("dd", {}, `${text}${unit ? ` ${unit}` : ""}`)));
  }
  return list;
}

function prepareLayer() {
  byId("layer-close").addEventListener("click", () => byId("layer").close());
  byId("layer-previous").addEventListener("click", () => openLayer(openIndex - 1));
  byId("layer-next").addEventListener("click", () => openLayer(openIndex + 1));
  byId("layer").addEventListener("click", (event) => { if (event.target === byId("layer")) byId("layer").close(); });
}
