// The live page: a change of a control asks the server, and the answer takes the place of the last one.

let kept = [];
let live = null;
let pending = null;
let timer = null;

function prepareLive() {
  live = { result: data.results[0], row: data.rows[0] };
  delete data.totals.pareto;  // one network on machines that all differ has no front
  const form = byId("controls");
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 120); });
  form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
  byId("pin").addEventListener("click", () => { kept = [...kept.filter((entry) => !sameAnswer(entry, live)), live]; show(); });
  byId("unpin").addEventListener("click", () => { kept = []; show(); });
  form.elements.hardware.addEventListener("change", adoptHardware);
  byId("answer").textContent = "Change a number: the page follows.";
  show();
}

function sameAnswer(a, b) {
  return a.result.network === b.result.network && a.result.hardware === b.result.hardware;
}

// Another accelerator starts from its own file, so the controls show the numbers of that file.
function adoptHardware() {
  const own = JSON.parse(byId("controls").dataset.own)[byId("controls").elements.hardware.value];
  for (const [name, value] of Object.entries(own ?? {})) byId("controls").elements[name].value = value;
}

async function asked(query, signal) {
  const response = await fetch(`/api/simulate?${query}`, { signal });
  return [response, await response.json()];
}

function underway({ done, of, seconds }) {
  const shapes = of ? `${done} of ${of} searches of layer shapes done` : "waiting for its turn";
  const hint = !done && seconds > 15 ? "; the first search on such a machine compiles the mapper, about two minutes" : "";
  return `searching \u2026 ${shapes} (${seconds.toFixed(0)} s${hint})`;
}

async function ask() {
  const form = byId("controls");
  if (!form.checkValidity()) { form.reportValidity(); return; }
  pending?.abort();
  pending = new AbortController();
  const started = performance.now();
  byId("answer").textContent = "simulating \u2026";
  try {
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
    const signal = pending.signal;
    let [response, answer] = await asked(query, signal);
    // A search that takes long says how far it is; asking again keeps it alive, another change lets it go.
    while (response.status === 202) {
      byId("answer").textContent = underway(answer);
      [response, answer] = await asked(query, signal);
    }
    if (!response.ok) { problem(answer.error); byId("answer").textContent = ""; return; }
    problem("");
    live = answer;
    show();
    byId("answer").textContent = `answered in ${((performance.now() - started) / 1000).toFixed(2)} s`;
  } catch (error) {
    if (error.name !== "AbortError") { problem(`The server does not answer: ${error.message}`); byId("answer").textContent = ""; }
  }
}

// Times and energies are relative to the first answer that was kept, else to this one.
function show() {
  const answers = [...kept.filter((entry) => !sameAnswer(entry, live)), live];
  const base = kept[0]?.row ?? live.row;
  data.results = answers.map((entry) => entry.result);
  data.rows = answers.map(({ row }) => ({ ...row, relative_time: row.time_ms / base.time_ms, relative_energy: row.energy / base.energy }));
  byId("unpin").hidden = !kept.length;
  byId("subtitle").textContent = `${live.result.network} on ${live.result.hardware}, live`;
  choose(live.result.network, live.result.hardware, (draw) => requestAnimationFrame(() => setTimeout(draw)));
}
