// Follows the stream of a run and draws what changed, at most once for each frame.
"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const HANDS = 24;
  const POINTS = 512;
  const SECTIONS = ["result", "work", "samples", "recipe"];

  let told = null;
  let offset = 0;
  const rows = new Map();
  const squares = new Map();
  const hands = new Map();
  const curves = new Map();
  const fresh = new Set();
  let waits = false;

  const say = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };
  const duration = (seconds) => {
    const whole = Math.round(seconds);
    const two = (number) => String(number).padStart(2, "0");
    if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
    if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
    return `${Math.floor(whole / 86400)} d ${two(Math.floor((whole % 86400) / 3600))} h`;
  };
  const number = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(3));

  const extend = (row, isWhole) => {
    for (const [name, value] of Object.entries(row.watched)) {
      const key = `${row.index} ${name}`;
      if (isWhole) curves.set(key, (row.curves[name] ?? []).slice());
      else if (typeof value === "number" && row.state === "running") {
        const points = curves.get(key) ?? [];
        const last = points[points.length - 1];
        if (!last || last[0] < row.done) points.push([row.done, value]);
        // Every other point of a long curve says as much.
        curves.set(key, points.length > POINTS ? points.filter((_, index) => index % 2 === 0) : points);
      }
      if (row.state !== "running") curves.delete(key);
    }
  };

  const take = (state) => {
    told = state;
    offset = Date.now() - state.now_ms;
    if (state.is_whole) {
      rows.clear();
      curves.clear();
      squares.clear();
      hands.clear();
      at("running").replaceChildren();
      at("board").tBodies[0].replaceChildren();
    }
    for (const row of state.stages) {
      rows.set(row.index, row);
      fresh.add(row.index);
      extend(row, state.is_whole);
    }
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      draw();
    });
  };

  const clock = () => {
    if (!told) return;
    const runs = told.word === "running";
    const now = runs ? Math.max(told.now_ms, Date.now() - Math.min(offset, 3600e3)) : told.now_ms;
    say(at("passed"), told.started_ms ? `since ${duration((now - told.started_ms) / 1000)}` : "");
    const left = told.to_go === null ? null : Math.max(0, told.to_go - (now - told.now_ms) / 1000);
    say(at("left"), runs && left !== null ? `${told.at_least ? "> " : "≈ "}${duration(left)}` : "–");
  };

  const line = (kind) => {
    const body = at("board").tBodies[0];
    const found = [...body.rows].find((row) => row.dataset.kind === kind);
    if (found) return found;
    const row = body.insertRow();
    row.dataset.kind = kind;
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = kind;
    const cell = document.createElement("td");
    cell.className = "words";
    cell.append(document.createElement("div"));
    cell.firstChild.className = "stages";
    row.append(head, cell, document.createElement("td"));
    return row;
  };

  const square = (row) => {
    let mark = squares.get(row.index);
    if (!mark) {
      mark = document.createElement("span");
      mark.setAttribute("role", "img");
      squares.set(row.index, mark);
      line(row.kind).cells[1].firstChild.append(mark);
    }
    mark.className = `stage ${row.state}`;
    const label = row.seconds > 0 ? `${row.title}: ${row.state}, ${duration(row.seconds)}` : `${row.title}: ${row.state}`;
    mark.title = label;
    mark.setAttribute("aria-label", label);
  };

  const plot = (canvas, points) => {
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [240 * scale, 56 * scale];
    if (canvas.width !== width) [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    if (points.length < 2) return;
    let [low, high] = [Infinity, -Infinity];
    for (const [, value] of points) [low, high] = [Math.min(low, value), Math.max(high, value)];
    const [first, last] = [points[0][0], points[points.length - 1][0]];
    pen.strokeStyle = getComputedStyle(canvas).color;
    pen.lineWidth = 1.6 * scale;
    pen.beginPath();
    points.forEach(([x, y], index) => {
      const across = ((x - first) / Math.max(last - first, 1)) * (width - 4) + 2;
      const up = high > low ? (y - low) / (high - low) : 0.5;
      const down = height - 4 - up * (height - 8);
      if (index === 0) pen.moveTo(across, down);
      else pen.lineTo(across, down);
    });
    pen.stroke();
  };

  const hand = (row) => {
    let block = hands.get(row.index);
    if (!block) {
      block = document.createElement("article");
      block.className = "hand";
      block.innerHTML = "<div><h3></h3><p></p></div><div><progress></progress></div><div class=curves></div>";
      hands.set(row.index, block);
      at("running").append(block);
    }
    say(block.querySelector("h3"), row.title);
    const parts = [];
    const bar = block.querySelector("progress");
    if (row.done !== null) {
      parts.push(`${row.done}/${row.total} ${row.unit}`);
      bar.max = Math.max(row.total, 1);
      bar.value = row.done;
    }
    if (row.rate !== null) parts.push(`${row.rate < 10 ? row.rate.toFixed(1) : Math.round(row.rate)}/s`);
    if (row.to_go !== null) parts.push(`${duration(row.to_go)} to go`);
    say(block.querySelector("p"), parts.join(", "));
    const box = block.querySelector(".curves");
    for (const [name, value] of Object.entries(row.watched)) {
      let curve = [...box.children].find((child) => child.dataset.name === name);
      if (!curve) {
        curve = document.createElement("p");
        curve.className = "curve";
        curve.dataset.name = name;
        curve.append(document.createElement("span"), document.createElement("canvas"));
        box.append(curve);
      }
      say(curve.firstChild, typeof value === "number" ? `${name} ${number(value)}` : `${name} ${value}`);
      plot(curve.lastChild, curves.get(`${row.index} ${name}`) ?? []);
    }
  };

  const draw = () => {
    document.title = `${told.word} · ${told.name}`;
    say(at("name"), told.name);
    say(at("meta"), `run ${told.run}${told.members > 1 ? ` · ${told.members} members` : ""}`);
    say(at("word"), told.word);
    const sums = {};
    for (const [kind, states] of Object.entries(told.kinds)) {
      const words = Object.entries(states).map(([state, count]) => `${count} ${state}`);
      say(line(kind).cells[2], words.join(", "));
      for (const [state, count] of Object.entries(states)) sums[state] = (sums[state] ?? 0) + count;
    }
    const all = Object.values(sums).reduce((sum, count) => sum + count, 0);
    say(at("count"), `${(sums.done ?? 0) + (sums.stored ?? 0)} of ${all}`);
    say(at("counted"), Object.entries(sums).map(([state, count]) => `${count} ${state}`).join(", "));
    say(at("workers"), told.workers.length ? `on ${told.workers.join(", ")}` : "");
    at("cut").hidden = !told.is_cut;
    for (const index of fresh) {
      const row = rows.get(index);
      if (!told.is_cut) square(row);
      if (row.state !== "running") {
        hands.get(index)?.remove();
        hands.delete(index);
        if (told.is_cut && row.state !== "failed") rows.delete(index);
      }
    }
    const running = [...rows.values()].filter((row) => row.state === "running");
    for (const row of running.slice(0, HANDS)) if (fresh.has(row.index) || !hands.has(row.index)) hand(row);
    at("idle").hidden = running.length > 0;
    at("more").hidden = running.length <= HANDS;
    say(at("more"), `and ${running.length - HANDS} more`);
    const failed = [...rows.values()].filter((row) => row.state === "failed").slice(0, 12);
    at("failed").hidden = failed.length === 0;
    say(at("failed").lastElementChild, failed.map((row) => `${row.title}: ${row.why}`).join("\n"));
    at("notes").hidden = told.notes.length === 0;
    const notes = at("notes").querySelector("ul");
    if (notes.dataset.notes !== String(told.notes)) {
      notes.dataset.notes = String(told.notes);
      notes.replaceChildren(
        ...told.notes.map((note) => {
          const item = document.createElement("li");
          item.textContent = note;
          return item;
        }),
      );
    }
    fresh.clear();
    clock();
    Object.assign(document.body.dataset, { word: told.word, running: running.length, squares: squares.size });
  };

  // The report's own sections; one that is the same stays, so that a reader keeps the place.
  const report = (html) => {
    const other = new DOMParser().parseFromString(html, "text/html");
    for (const id of SECTIONS) {
      const before = at(id);
      const after = other.getElementById(id);
      if (!after) {
        before?.remove();
        continue;
      }
      if (before && before.dataset.html === String(after.innerHTML.length) && before.dataset.text === after.textContent) continue;
      after.dataset.html = String(after.innerHTML.length);
      after.dataset.text = after.textContent;
      if (before) {
        const open = [...before.querySelectorAll("details")].map((details) => details.open);
        after.querySelectorAll("details").forEach((details, index) => {
          details.open = open[index] ?? details.open;
        });
        before.replaceWith(document.adoptNode(after));
      } else at("report").append(document.adoptNode(after));
    }
    document.body.dataset.figures = document.querySelectorAll("#report figure").length;
  };

  const stream = new EventSource(`events${location.search}`);
  const lost = (text) => {
    at("lost").hidden = text === "";
    say(at("lost"), text);
  };
  stream.addEventListener("open", () => lost(""));
  stream.addEventListener("state", (event) => take(JSON.parse(event.data)));
  stream.addEventListener("report", (event) => report(JSON.parse(event.data)));
  stream.addEventListener("end", () => {
    stream.close();
    lost("This page is served no more. `mstar watch --ui` opens it again.");
    document.body.dataset.over = "yes";
  });
  stream.addEventListener("error", () => lost("The connection is lost; trying again. Where the run has ended, `mstar watch --ui` opens this page again."));
  setInterval(clock, 1000);
})();
