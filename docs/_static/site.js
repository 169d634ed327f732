// Filters of the matrix, and the wire explorer. Both only change what the page shows without a script, and keep their state
// in the address, so that what is seen can be linked to.
"use strict";

function state(form, changed) {
  // The fields of a form as the part of the address after the #.
  const fields = () => [...form.elements].filter((field) => field.name);
  const read = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const field of fields()) {
      if (field.type === "checkbox") field.checked = given.has(field.name);
      else if (given.has(field.name) && [...field.options].some((each) => each.value === given.get(field.name))) field.value = given.get(field.name);
    }
  };
  const write = () => {
    const now = new URLSearchParams();
    for (const field of fields()) {
      const value = field.type === "checkbox" ? (field.checked ? "1" : "") : field.value;
      if (value) now.set(field.name, value);
    }
    history.replaceState(null, "", "#" + now);
  };
  form.hidden = false;
  form.addEventListener("input", () => { write(); changed(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => { read(); changed(); });
  read();
}

// --- The matrix ------------------------------------------------------------------------------------

function matrix(form) {
  const table = document.querySelector("table.matrix");
  const rows = [...table.tBodies[0].rows];
  const { topic, section, subject, differ } = form.elements;
  const show = () => {
    let count = 0;
    for (const row of rows) {
      if (row.className === "topic") continue;
      const hidden = (topic.value && row.dataset.topic !== topic.value) || (section.value && row.dataset.section !== section.value)
        || (differ.checked && !("differ" in row.dataset));
      row.hidden = hidden;
      count += hidden ? 0 : 1;
    }
    for (const head of rows.filter((row) => row.className === "topic")) {
      head.hidden = !rows.some((row) => row !== head && row.dataset.topic === head.dataset.topic && !row.hidden);
      head.cells[0].colSpan = subject.value ? 2 : table.tHead.rows[0].cells.length;
    }
    for (const cell of table.querySelectorAll("td, thead th + th")) {
      const column = table.tHead.rows[0].cells[cell.cellIndex].dataset.subject;
      cell.hidden = subject.value !== "" && column !== subject.value;
    }
    table.classList.toggle("one", subject.value !== "");
    form.querySelector("output").textContent = `${count} question${count === 1 ? "" : "s"}`;
  };
  state(form, show);
  // On a narrow screen one library at a time is what can be read.
  if (!subject.value && matchMedia("(max-width: 46em)").matches) subject.value = "requests";
  show();
}

// --- The explorer ----------------------------------------------------------------------------------

function explorer(root) {
  const form = root.querySelector("form");
  const places = JSON.parse(root.dataset.places);
  const [diff, about, lanes] = [".diff", ".about", ".lanes"].map((name) => root.querySelector(name));
  const { scenario, left, right, view } = form.elements;
  const element = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  function load(name) {
    if (window.WIRE && window.WIRE[name]) return show();
    const script = element("script", { src: root.dataset.wire + name + ".js", onload: show });
    document.head.append(script);
    return undefined;
  }

  function align(one, other) {
    const keys = [...one];
    other.forEach((key, index) => {
      if (keys.includes(key)) return;
      const before = other.slice(0, index).reverse().find((each) => keys.includes(each));
      keys.splice(before === undefined ? 0 : keys.indexOf(before) + 1, 0, key);
    });
    return keys;
  }

  function hex(text) {
    return [...text].map((letter) => letter.codePointAt(0).toString(16).padStart(2, "0")).join(" ");
  }

  function written({ text, is_frame: binary }) {
    if (binary || view.value === "hex") return element("code", { textContent: hex(text) });
    const code = element("code");
    const shown = text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, (found) => "\\x" + hex(found));
    for (const part of shown.split(/(\r\n|\r|\n)/)) {
      if (!/^[\r\n]+$/.test(part)) code.append(part);
      else code.append(element("i", { textContent: part.replace("\r", "\\r").replace("\n", "\\n") }), "\n");
    }
    return code;
  }

  function cell(piece, row, column) {
    if (!piece) return element("td", { className: "none", textContent: "-" });
    const made = element("td", { className: "k-" + piece.kind, tabIndex: -1 }, written(piece));
    const tell = () => {
      const where = piece.line ? element("a", { href: `${places.parser}#L-${piece.line}`, textContent: `${places.name}, line ${piece.line}` }) : "";
      const size = `${piece.text.length} byte${piece.text.length === 1 ? "" : "s"}`;
      const parser = where ? [" · our parser: ", where] : [];
      about.replaceChildren(element("b", { textContent: piece.key.replace(/ 1$/, "") }), ` · ${size} · ${piece.section}`, ...parser);
    };
    made.addEventListener("mouseenter", tell);
    made.addEventListener("focus", tell);
    Object.assign(made.dataset, { row, column });
    return made;
  }

  function show() {
    const data = (window.WIRE || {})[scenario.value];
    if (!data) return;
    for (const select of [left, right]) {
      for (const option of select.options) option.disabled = !(option.value in data);
      if (!(select.value in data)) select.value = Object.keys(data)[select === left ? 0 : 1] || Object.keys(data)[0];
    }
    const sides = [data[left.value], data[right.value]];
    const body = element("tbody");
    const count = Math.max(...sides.map((side) => side.messages.length));
    let row = 0;
    for (let index = 0; index < count; index += 1) {
      const pair = sides.map((side) => side.messages[index]);
      const way = pair.find(Boolean).way;
      body.append(element("tr", { className: "way" }, element("th", { colSpan: 3, textContent: way === "sent" ? "→ sent" : "← received" })));
      const pieces = pair.map((message) => new Map((message ? message.pieces : []).map((piece) => [piece.key, piece])));
      for (const key of align([...pieces[0].keys()], [...pieces[1].keys()])) {
        const both = pieces.map((side) => side.get(key));
        const same = both[0] && both[1] && both[0].text === both[1].text;
        body.append(element("tr", { className: same ? "" : "differs" }, element("th", { textContent: key.replace(/ 1$/, "") }), ...both.map((piece, column) => cell(piece, row, column))));
        row += 1;
      }
    }
    const outcome = element("tr", {}, element("th", { textContent: "what came of it" }), ...sides.map((side) => element("td", { textContent: side.answer })));
    const head = element("tr", {}, ...["field", sides[0].title, sides[1].title].map((text) => element("th", { textContent: text })));
    diff.replaceChildren(element("table", { className: "facts aligned" }, element("thead", {}, head), body, element("tfoot", {}, outcome)));
    const first = diff.querySelector("td[data-row]");
    if (first) first.tabIndex = 0;
    draw(sides);
  }

  function draw(sides) {
    // Two lanes in time, on one scale; the square root gives the first milliseconds some room.
    const last = Math.max(0.0001, ...sides.flatMap((side) => [...side.messages.map((message) => message.at), side.seconds]));
    const width = Math.max(lanes.clientWidth, 240); // so that text has one size on each screen
    const x = (at) => 10 + (width - 30) * Math.sqrt(at / last);
    const svg = [`<svg viewBox='0 0 ${width} 150' role='img' class='picture'><title>When bytes went which way</title>`];
    sides.forEach((side, index) => {
      const y = 45 + index * 60;
      svg.push(`<text x='10' y='${y - 22}'>${side.title}</text><path class='line' d='M10 ${y}H${x(side.seconds)}'/>`);
      for (const message of side.messages) {
        const size = message.pieces.reduce((sum, piece) => sum + piece.text.length, 0);
        const up = message.way === "sent" ? -1 : 1;
        const at = x(message.at);
        svg.push(`<path d='M${at} ${y}v${up * 12}m-4 ${up * -5}l4 ${up * 5}l4 ${up * -5}' fill='none' stroke='var(--${up < 0 ? "ours" : "theirs"})' stroke-width='2'>`
          + `<title>${message.way}, ${size} bytes, after ${(message.at * 1000).toFixed(1)} ms, connection ${message.connection}</title></path>`);
      }
      svg.push(`<circle cx='${x(side.seconds)}' cy='${y}' r='3' fill='currentColor'><title>the call was over after ${(side.seconds * 1000).toFixed(1)} ms</title></circle>`);
    });
    svg.push(`<text class='small' x='${width - 15}' y='142' text-anchor='end'>${(last * 1000).toFixed(1)} ms</text><text class='small' x='10' y='142'>↑ sent ↓ received ● over</text></svg>`);
    lanes.innerHTML = svg.join("");
  }

  diff.addEventListener("keydown", (event) => {
    const now = document.activeElement.dataset;
    const step = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || now.row === undefined) return;
    event.preventDefault();
    const cells = [...diff.querySelectorAll("td[data-row]")];
    const [row, column] = [Number(now.row) + step[0], Number(now.column) + step[1]];
    const candidates = cells.filter((each) => Number(each.dataset.column) === column && (step[0] ? (Number(each.dataset.row) - row) * step[0] >= 0 : Number(each.dataset.row) === row));
    const next = step[0] < 0 ? candidates.at(-1) : candidates[0];
    if (next) next.focus();
  });
  lanes.hidden = about.hidden = false;
  state(form, () => load(scenario.value));
  load(scenario.value);
}

const controls = document.getElementById("matrix-controls");
if (controls) matrix(controls);
const wires = document.getElementById("explorer");
if (wires) explorer(wires);
