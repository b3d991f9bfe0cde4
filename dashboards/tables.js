"use strict";
// A heading's button sorts its column: once ascending, again descending, a third time as it was.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  const valueOf = (row, place) => {
    const text = row.cells[place].textContent.trim().replace(/−/g, "-");
    const number = parseFloat(text.replace(/,/g, ""));
    return /^[-+]?[\d.]/.test(text) && !Number.isNaN(number) ? number : text;
  };
  const compare = (one, other) => {
    if (typeof one === typeof other) {
      return typeof one === "number" ? one - other : one.localeCompare(other);
    }
    return typeof one === "number" ? -1 : 1; // what has no value stands last
  };
  headings.forEach((heading, place) => {
    heading.querySelector("button").addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort");
      const next = { none: "ascending", ascending: "descending", descending: "none" }[now];
      headings.forEach((other) => other.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", next);
      const sign = next === "descending" ? -1 : 1;
      const sorted = [...original];
      if (next !== "none") {
        sorted.sort((a, b) => {
          const [one, other] = [valueOf(a, place), valueOf(b, place)];
          const both = typeof one === "number" && typeof other === "number";
          return both || typeof one === typeof other ? sign * compare(one, other) : compare(one, other);
        });
      }
      table.classList.toggle("sorted", next !== "none");
      body.append(...sorted);
    });
  });
}
