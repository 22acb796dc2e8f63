// Sorting, filtering and hiding on the page of several members. The page says everything without it.
(() => {
  const table = document.getElementById("pivot");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];

  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.sort === undefined ? cell.textContent.trim() : Number(cell.dataset.sort);
  };
  const isEmpty = (cell) => cell.dataset.sort === undefined && (cell.classList.contains("trouble") || ["", "–", "baseline"].includes(cell.textContent));

  const sort = (column, descending) => {
    const sign = descending ? -1 : 1;
    const rows = [...body.rows].sort((one, other) => {
      const [without, otherWithout] = [isEmpty(one.cells[column]), isEmpty(other.cells[column])];
      // What has no value comes last, whichever way.
      if (without || otherWithout) return without - otherWithout;
      const [a, b] = [value(one, column), value(other, column)];
      if (typeof a === "number" && typeof b === "number") return sign * (a - b);
      return sign * String(a).localeCompare(String(b), "en", { numeric: true });
    });
    body.append(...rows);
    heads.forEach((head, index) => {
      if (index === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      // The largest number is looked for first, and the first name.
      const first = !head.classList.contains("key");
      sort(column, now === null ? first : now === "ascending");
    });
    head.replaceChildren(button);
  });

  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  filter.closest(".filter").hidden = body.rows.length < 2;
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
    let count = 0;
    const lines = new Set();
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      if (row.hidden) continue;
      count += 1;
      row.dataset.lines.split(" ").forEach((line) => lines.add(line));
    }
    // The figures follow the table.
    for (const mark of document.querySelectorAll("figure [data-line]")) {
      mark.classList.toggle("left-out", !lines.has(mark.dataset.line));
    }
    shown.textContent = words.length === 0 ? "" : `${count} of ${body.rows.length}`;
  });

  for (const list of document.querySelectorAll(".switches")) {
    const figure = list.closest("figure");
    for (const item of list.querySelectorAll("[data-line]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.append(...item.childNodes);
      item.append(button);
      const marks = [...figure.querySelectorAll(`svg [data-line="${item.dataset.line}"]`)];
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") === "false";
        button.setAttribute("aria-pressed", String(on));
        marks.forEach((mark) => mark.classList.toggle("off", !on));
      });
      const point = (on) => marks.forEach((mark) => mark.classList.toggle("read", on && mark.matches(".line")));
      button.addEventListener("pointerenter", () => point(true));
      button.addEventListener("pointerleave", () => point(false));
      button.addEventListener("focus", () => point(true));
      button.addEventListener("blur", () => point(false));
    }
  }

  const heat = document.getElementById("fig-heat");
  if (heat) {
    heat.querySelector(".choice").hidden = false;
    const [row, column] = heat.querySelectorAll("select");
    const show = (changed, other) => {
      // An axis against itself is no map: the other one gives way.
      if (row.value === column.value) {
        const free = [...other.options].find((option) => option.value !== changed.value);
        other.value = free.value;
      }
      for (const map of heat.querySelectorAll(".map")) {
        map.hidden = map.dataset.map !== `${row.value},${column.value}`;
      }
    };
    row.addEventListener("change", () => show(row, column));
    column.addEventListener("change", () => show(column, row));
  }

  // Of many lines the nearest one below the pointer is read.
  const tip = document.getElementById("tip");
  for (const svg of document.querySelectorAll("figure svg")) {
    const lines = [...svg.querySelectorAll("[data-label]")].map((path) => {
      const numbers = path.getAttribute("d").match(/-?[\d.]+/g).map(Number);
      const points = [];
      for (let index = 0; index + 1 < numbers.length; index += 2) points.push([numbers[index], numbers[index + 1]]);
      return { path, points };
    });
    if (lines.length === 0) continue;
    let read = null;
    const choose = (line) => {
      if (read) read.path.classList.remove("read");
      read = line;
      tip.hidden = !line;
      if (!line) return;
      line.path.classList.add("read");
      line.path.parentNode.append(line.path);
      tip.textContent = line.path.dataset.label;
    };
    const height = (points, x) => {
      for (let index = 1; index < points.length; index += 1) {
        const [[x1, y1], [x2, y2]] = [points[index - 1], points[index]];
        if (x >= x1 && x <= x2) return y1 + ((y2 - y1) * (x - x1)) / Math.max(x2 - x1, 1e-9);
      }
      return Infinity;
    };
    svg.addEventListener("pointermove", (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      let best = null;
      let least = 16;
      for (const line of lines) {
        if (line.path.matches(".off, .dim, .left-out")) continue;
        const distance = Math.abs(height(line.points, at.x) - at.y);
        if (distance < least) [best, least] = [line, distance];
      }
      choose(best);
      tip.style.left = `${event.clientX + window.scrollX + 12}px`;
      tip.style.top = `${event.clientY + window.scrollY + 12}px`;
    });
    svg.addEventListener("pointerleave", () => choose(null));
  }

  const parallel = document.getElementById("fig-parallel");
  if (parallel) {
    const kept = new Map();
    const threads = [...parallel.querySelectorAll(".thread")].map((path) => ({ path, at: path.dataset.at.split(",") }));
    const values = [...parallel.querySelectorAll("[data-value]")];
    const toggle = (value) => {
      const [axis, place] = value.dataset.value.split(",");
      const places = kept.get(axis) ?? new Set();
      if (!places.delete(place)) places.add(place);
      if (places.size === 0) kept.delete(axis);
      else kept.set(axis, places);
      value.setAttribute("aria-pressed", String(places.has(place)));
      for (const { path, at } of threads) {
        const passes = [...kept].every(([axis, places]) => places.has(at[Number(axis)]));
        path.classList.toggle("dim", !passes);
      }
    };
    for (const value of values) {
      value.setAttribute("role", "button");
      value.setAttribute("tabindex", "0");
      value.setAttribute("aria-pressed", "false");
      value.addEventListener("click", () => toggle(value));
      value.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        toggle(value);
      });
    }
  }
})();
