// Sorts and filters the table of kernels, hides engines and columns, and switches between light and dark.
// Without it everything is shown, and what it makes work is not.
"use strict";

(() => {
  const root = document.documentElement;

  // Light and dark. What a reader chose is kept, where the browser allows it.
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const KEY = "egraft-theme";
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => { button.textContent = isDark() ? "Light page" : "Dark page"; };
  try {
    const kept = localStorage.getItem(KEY);
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch { /* No storage: the choice lasts as long as the page. */ }
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem(KEY, root.dataset.theme); } catch { /* As above. */ }
    label();
  });
  system.addEventListener("change", label);
  label();
  button.hidden = false;

  // Engines and columns.
  for (const box of document.querySelectorAll("input[data-hides]")) {
    const choose = () => root.classList.toggle(`no-${box.dataset.hides}`, !box.checked);
    box.addEventListener("change", choose);
    box.closest("fieldset").hidden = false;
    choose();
  }

  // Sorting. Rows without a value come last, whatever the order; equal ones keep theirs.
  const table = document.getElementById("kernels");
  const body = table.tBodies[0];
  const byName = new Intl.Collator("en", { numeric: true });
  const sort = (head, order) => {
    const at = head.cellIndex;
    const sign = order === "ascending" ? 1 : -1;
    const numeric = head.classList.contains("number");
    const keyed = Array.from(body.rows, (row) => [row.cells[at].dataset.v, row]);
    keyed.sort(([a], [b]) => {
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      return sign * (numeric ? a - b : byName.compare(a, b));
    });
    body.append(...keyed.map(([, row]) => row));
    for (const other of table.tHead.querySelectorAll("th[data-first]")) {
      if (other !== head) other.removeAttribute("aria-sort");
      other.querySelector(".arrow").textContent = "";
    }
    head.setAttribute("aria-sort", order);
    head.querySelector(".arrow").textContent = order === "ascending" ? "↑" : "↓";
  };
  for (const head of table.tHead.querySelectorAll("th[data-first]")) {
    const sorter = document.createElement("button");
    sorter.type = "button";
    sorter.append(...head.childNodes);
    const arrow = document.createElement("span");
    arrow.className = "arrow";
    arrow.setAttribute("aria-hidden", "true");
    sorter.append(arrow);
    head.append(sorter);
    sorter.addEventListener("click", () => {
      const { first } = head.dataset;
      const second = first === "ascending" ? "descending" : "ascending";
      sort(head, head.getAttribute("aria-sort") === first ? second : first);
    });
  }

  // The filter: words that a name must all have.
  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of body.rows) {
      const name = row.cells[0].dataset.v.toLowerCase();
      row.hidden = !words.every((word) => name.includes(word));
      count += !row.hidden;
    }
    shown.textContent = `${count} of ${body.rows.length} kernels`;
  };
  filter.addEventListener("input", apply);
  filter.parentElement.hidden = false;
  apply();
})();
