// Unpacks what the page carries, and starts it. `state` is what is chosen; `data` is never changed but by the live page.

let data = null;
const state = {
  network: null, hardware: null, metric: "cycles", totalMetric: "time_ms", cost: "time_ms", grouped: true, split: "kind",
  level: "dram", sort: { column: null, descending: false },
  columns: ["layer", "kind", "shape", "macs", "dataflow", "cycles", "utilization", "bound", "energy",
    "dram_read_words", "dram_write_words", "macs_per_dram_byte"],
  filters: { text: "", kind: "", bound: "", dataflow: "" },
};

const byId = (id) => document.getElementById(id);

function problem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

async function unpacked(id) {
  const bytes = Uint8Array.from(atob(byId(id).textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function start() {
  if (typeof DecompressionStream === "undefined") {
    problem("This browser is too old to unpack the page (it lacks DecompressionStream, which all have had since 2023).");
    return;
  }
  try {
    const [library, text] = await Promise.all([unpacked("library"), unpacked("data")]);
    const element = document.createElement("script");
    element.textContent = library;
    document.head.append(element);
    data = JSON.parse(text);
    prepare();
    byId("main").removeAttribute("aria-busy");
    document.documentElement.dataset.ready = "true";
  } catch (error) {
    problem(`The page could not be shown: ${error.message}`);
    throw error;
  }
}
