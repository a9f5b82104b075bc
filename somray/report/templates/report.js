"use strict";
// Long tables can be sorted by their heads and filtered; without this script they are there to read all the same.
(() => {
  const MINUS = /\u2212/g, THIN = /[\u202f\u00a0]/g;

  function valueOf(row, column) {
    const cell = row.cells[column];
    if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
    const text = cell.textContent.trim();
    if (text === "\u2013" || text === "") return null; // nothing there: always last
    const number = text.replace(MINUS, "-").replace(THIN, "");
    const plain = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?(?![\w.-])/.exec(number);
    return plain ? Number(plain[0]) : text;
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a.localeCompare(b, "en", { numeric: true });
  }

  function sort(table, column, way) {
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => ({ row, value: valueOf(row, column) }));
    keyed.sort((a, b) => {
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null);
      return compare(a.value, b.value) * way;
    });
    body.append(...keyed.map((k) => k.row));
    for (const head of table.tHead.rows[0].cells) head.removeAttribute("aria-sort");
    table.tHead.rows[0].cells[column].setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
  }

  function makeSortable(table) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if ([...table.tBodies[0].rows].some((row) => row.cells[column].querySelector("img"))) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        sort(table, column, head.getAttribute("aria-sort") === "ascending" ? -1 : 1);
      });
    });
  }

  function addTools(table) {
    const tools = document.createElement("div");
    tools.className = "tools";
    if (table.hasAttribute("data-filter")) tools.append(...filterOf(table));
    if (table.hasAttribute("data-worst")) tools.append(worstOf(table));
    if (tools.childNodes.length) table.parentElement.before(tools);
  }

  function filterOf(table) {
    const label = document.createElement("label"), box = document.createElement("input");
    const count = document.createElement("output");
    box.type = "search";
    box.autocomplete = "off";
    label.append("Filter rows ", box);
    const rows = [...table.tBodies[0].rows];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    box.addEventListener("input", () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, n) => {
        row.hidden = !words.every((word) => texts[n].includes(word));
        shown += row.hidden ? 0 : 1;
      });
      count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
    return [label, count];
  }

  function worstOf(table) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Worst first";
    button.addEventListener("click", () => sort(table, Number(table.dataset.worst), 1));
    return button;
  }

  for (const table of document.querySelectorAll("table[data-sortable], table[data-worst]")) {
    makeSortable(table);
    addTools(table);
  }
})();
