// Read-outs for pointer and keyboard. The page says everything without it.
"use strict";
(() => {
  const tip = document.getElementById("tip");

  const show = (mark) => {
    document.querySelectorAll(".read").forEach((other) => other.classList.remove("read"));
    if (!mark) {
      tip.hidden = true;
      return;
    }
    mark.classList.add("read");
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const box = mark.getBoundingClientRect();
    const middle = box.left + box.width / 2 - tip.offsetWidth / 2;
    const left = Math.max(8, Math.min(middle, document.documentElement.clientWidth - tip.offsetWidth - 8));
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${left + window.scrollX}px`;
    tip.style.top = `${(above < 0 ? box.bottom + 8 : above) + window.scrollY}px`;
  };

  const nearest = (marks, x, y) => {
    let best = null;
    let least = Infinity;
    for (const mark of marks) {
      const box = mark.getBoundingClientRect();
      const dx = Math.max(box.left - x, 0, x - box.right);
      const dy = Math.max(box.top - y, 0, y - box.bottom);
      const distance = dx * dx + dy * dy;
      // Of marks that lie over one another the last drawn is on top.
      if (distance <= least) {
        least = distance;
        best = mark;
      }
    }
    return least < 40 * 40 ? best : null;
  };

  for (const svg of document.querySelectorAll("figure svg")) {
    const marks = [...svg.querySelectorAll("[data-tip]")];
    if (marks.length === 0) continue;
    // Our read-out replaces the browser's own.
    svg.querySelectorAll("title").forEach((title) => title.remove());
    svg.tabIndex = 0;
    let at = -1;
    svg.addEventListener("pointermove", (event) => show(nearest(marks, event.clientX, event.clientY)));
    svg.addEventListener("pointerleave", () => show(null));
    svg.addEventListener("blur", () => show(null));
    svg.addEventListener("keydown", (event) => {
      if (event.key === "ArrowRight") at = Math.min(at + 1, marks.length - 1);
      else if (event.key === "ArrowLeft") at = Math.max(at - 1, 0);
      else if (event.key === "Escape") at = -1;
      else return;
      event.preventDefault();
      show(marks[at]);
    });
  }

  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details:not(.long)").forEach((details) => {
      details.open = true;
    });
  });
  const figures = document.querySelectorAll("figure").length;
  document.body.dataset.ready = `${figures} figures`;
})();
