// Glue between the data of the page, DataTables and Vega-Embed. Text of users becomes text nodes, or is escaped.
const content = JSON.parse(document.getElementById("content").textContent);
const source = new Blob([document.getElementById("tables-source").textContent], { type: "text/javascript" });
const { default: DataTable } = await import(URL.createObjectURL(source));
const place = (id) => document.getElementById(id);
const runs = content.runs.rows;
const column = (name) => content.runs.columns.indexOf(name);
const views = {};
let chosen = content.first;

function make(tag, ...children) {
  const node = document.createElement(tag);
  node.append(...children);
  return node;
}

function escaped(text) {
  const node = make("i", String(text ?? ""));
  return node.innerHTML.replaceAll('"', "&quot;");
}

function shown(value) {
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(5))) : String(value ?? "");
}

function records(table) {
  return table.rows.map((row) => Object.fromEntries(table.columns.map((name, number) => [name, row[number]])));
}

function name(run) {
  return `${runs[run][column("version")]} ${runs[run][column("track_id")]}`;
}

function fill(id, ...nodes) {
  place(id).replaceChildren(...nodes);
}

function none(text) {
  return Object.assign(make("p", text), { className: "none" });
}

function plainTable(columns, rows) {
  const head = make("tr", ...columns.map((title) => make("th", title)));
  const lines = rows.map((row) => make("tr", ...row.map((value) => make("td", shown(value)))));
  const table = Object.assign(make("table", make("thead", head), make("tbody", ...lines)), { className: "plain" });
  return Object.assign(make("div", table), { className: "scroll" });
}

function bigTable(id, columns, rows, options) {
  const table = make("table");
  table.className = "display compact";
  fill(id, table);
  const render = (value, kind) => (kind === "display" ? escaped(shown(value)) : kind === "filter" ? String(value ?? "") : value);
  const described = columns.map((title, number) => ({ title: escaped(title), data: number, render }));
  return new DataTable(table, {
    data: rows, scrollX: true, autoWidth: false, pageLength: 10, order: [], ...options,
    columns: [...(options.first ?? []), ...described],
  });
}

async function draw(id, chart, tables, params = {}, target = place(id)) {
  if (!Object.values(tables)[0].length) {
    target.replaceChildren(none("There is nothing to draw here yet."));
    return;
  }
  const spec = structuredClone(content.charts[chart]);
  if (typeof spec.width === "number") spec.width = "container";
  for (const param of spec.params ?? []) {
    const before = views[id] && param.bind ? views[id].signal(param.name) : undefined;
    param.value = params[param.name] ?? before ?? param.value;
  }
  const theme = document.documentElement.classList.contains("dark") ? "dark" : "light";
  const actions = { export: true, source: false, compiled: false, editor: false };
  const renderer = Object.values(tables)[0].length > 3000 ? "canvas" : "svg";
  const options = { config: content.themes[theme], actions, renderer, ast: true, tooltip: { theme } };
  const result = await vegaEmbed(target, { ...spec, datasets: tables }, options);
  views[id] = result.view;
}

function drawRuns() {
  const ids = chosen.map((run) => content.ids[run]);
  const own = (table) => records(table).filter((row) => chosen.includes(row.run));
  const labelled = own(content.curves).map((row) => ({ ...row, label: name(row.run) }));
  draw("curves", "curves", { curves: labelled });
  draw("sweeps", "sweeps", { sweeps: records(content.sweeps) }, { chosen: ids });
  const pair = chosen.slice(0, 2).map((run) => [run, make("div"), own(content.cells).filter((row) => row.run === run)]);
  fill("cells", ...pair.map(([run, target]) => make("div", make("h3", name(run)), target)));
  for (const [run, target, cells] of pair) draw(`cells-${run}`, "confusion", { cells }, {}, target);
  place("chosen").textContent = chosen.length ? `Chosen: ${chosen.map(name).join(", ")}` : "No run is chosen.";
}

function compare() {
  const [left, right] = chosen;
  if (right === undefined) {
    fill("differences", none("Choose two runs in the leaderboard."));
    fill("flips");
    return;
  }
  const lines = [];
  for (const title of [...content.params, ...content.metrics]) {
    const [a, b] = [runs[left][column(title)], runs[right][column(title)]];
    const delta = typeof a === "number" && typeof b === "number" ? b - a : "";
    if (a !== b || content.metrics.includes(title)) lines.push([title, a, b, delta]);
  }
  fill("differences", plainTable(["", name(left), name(right), "difference"], lines));
  if (runs[left][column("test")] !== runs[right][column("test")]) {
    fill("flips", none("They were measured on other test data, so that no prediction can be compared."));
    return;
  }
  const before = new Map();
  const flips = [];
  for (const row of records(content.items)) {
    const key = `${row.place} ${row.item}`;
    if (row.run === left) before.set(key, row);
  }
  for (const row of records(content.items)) {
    const old = before.get(`${row.place} ${row.item}`);
    if (row.run !== right || !old || old.predicted === row.predicted) continue;
    const better = row.actual === row.predicted ? "right now" : old.actual === old.predicted ? "wrong now" : "wrong both times";
    flips.push([row.item, row.actual, old.predicted, row.predicted, better]);
  }
  const known = new Set((content.items.rows.length ? content.items : content.cells).rows.map((row) => row[0]));
  if (!known.has(left) || !known.has(right)) fill("flips", none("The predictions of both runs are not in this page."));
  else if (!flips.length) fill("flips", none("No prediction flipped."));
  else bigTable("flips", ["item", "actual", name(left), name(right), "what flipped"], flips, {});
}

function showFiles() {
  const own = records(content.files).filter((row) => chosen.includes(row.run));
  fill("files", ...own.map((row) => {
    const caption = make("figcaption", `${name(row.run)}: ${row.name}, ${row.bytes} bytes`);
    if (!row.image) return make("figure", caption);
    return make("figure", Object.assign(make("img"), { src: row.image, alt: row.name }), caption);
  }), ...(own.length ? [] : [none("The chosen runs kept no files.")]));
}

function showLeaderboard() {
  if (!runs.length) return fill("runs", none("There are no runs yet: dvc repro"));
  const usual = ["rank", "version", "track_id", "seeds", "promoted", ...content.metrics, ...content.params];
  const hidden = content.runs.columns.flatMap((title, number) => (usual.includes(title) ? [] : [number + 1]));
  const group = column("group") + 1;
  const table = bigTable("runs", content.runs.columns, runs, {
    first: [{ data: null, orderable: false, render: DataTable.render.select() }],
    select: { style: "multi", selector: "td:first-child", headerCheckbox: false },
    orderFixed: { pre: [[group, "asc"]] },
    rowGroup: { dataSrc: column("group"), startRender: (rows, value) => escaped(`Measured on ${content.groups[value]}`) },
    columnDefs: [{ targets: hidden, visible: false }],
    layout: { topStart: ["pageLength", { buttons: [{ extend: "colvis", text: "Columns", columns: ":gt(1)" }] }] },
  });
  table.rows(chosen).select();
  table.on("select deselect", () => {
    const now = table.rows({ selected: true }).indexes().toArray();
    chosen = [...chosen.filter((run) => now.includes(run)), ...now.filter((run) => !chosen.includes(run))];
    showChosen();
  });
}

function showChosen() {
  drawRuns();
  compare();
  showFiles();
}

function drawAll() {
  draw("versions", "versions", { versions: records(content.versions) });
  showChosen();
}

function setTheme(dark) {
  document.documentElement.classList.toggle("dark", dark);
  place("theme").textContent = dark ? "Light" : "Dark";
}

const wanted = matchMedia("(prefers-color-scheme: dark)");
setTheme(wanted.matches);
wanted.addEventListener("change", () => { setTheme(wanted.matches); drawAll(); });
place("theme").addEventListener("click", () => {
  setTheme(!document.documentElement.classList.contains("dark"));
  drawAll();
});
for (const [id, text] of Object.entries(content.notes)) {
  place(id).after(Object.assign(make("p", text), { className: "note" }));
}
document.title = `${content.project}: report`;
place("project").textContent = content.project;
showLeaderboard();
for (const id of ["tags", "chain", "cards"]) {
  const { columns, rows } = content[id];
  fill(id, rows.length ? plainTable(columns, rows) : none("None yet."));
}
drawAll();
document.documentElement.dataset.ready = "yes";
