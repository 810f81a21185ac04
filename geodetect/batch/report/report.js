"use strict";
// Sorting, filtering and enlarging; all else works without.
(() => {
  const table = document.querySelector("table");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const heads = Array.from(table.tHead.rows[0].cells);
  const controls = document.querySelector(".controls");
  const search = controls.querySelector("input");
  const states = Array.from(controls.querySelectorAll("button"));
  const told = controls.querySelector("output");
  const count = new Intl.NumberFormat("en");

  // ---- sorting
  const value = (row, column, numeric) => {
    const cell = row.cells[column];
    if (!numeric) return cell.textContent.trim().toLowerCase();
    const text = cell.dataset.value ?? cell.textContent.replaceAll(",", "");
    return text === "" ? -1 : Number(text);
  };
  const sort = (column) => {
    const head = heads[column];
    const numeric = head.classList.contains("n");
    const first = numeric ? "descending" : "ascending";
    const now = head.getAttribute("aria-sort");
    const next = now === first ? (numeric ? "ascending" : "descending") : first;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", next);
    const sign = next === "ascending" ? 1 : -1;
    const order = new Intl.Collator("en", { numeric: true }).compare;
    const keyed = rows.map((row) => [value(row, column, numeric), row]);
    keyed.sort(([a], [b]) => sign * (numeric ? a - b : order(a, b)));
    const all = document.createDocumentFragment();
    keyed.forEach(([, row]) => all.append(row));
    body.append(all);
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column));
    head.append(button);
  });

  // ---- filtering
  const texts = new Map();
  const text = (row) => {
    if (!texts.has(row)) texts.set(row, row.cells[0].textContent.toLowerCase());
    return texts.get(row);
  };
  let state = "";
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let seen = 0;
    for (const row of rows) {
      const shows = (!state || row.dataset.state === state) && words.every((word) => text(row).includes(word));
      if (row.hidden === shows) row.hidden = !shows;
      seen += shows;
    }
    const all = `${count.format(rows.length)} ${rows.length === 1 ? "scene" : "scenes"}`;
    told.textContent = seen === rows.length ? all : `${count.format(seen)} of ${all}`;
  };
  const choose = (chosen) => {
    state = chosen;
    states.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.state === chosen)));
    filter();
  };
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 80);
  });
  states.forEach((button) => button.addEventListener("click", () => choose(button.dataset.state)));
  const reveal = () => {
    const row = document.getElementById(location.hash.slice(1));
    if (!row || !row.hidden) return;
    search.value = "";
    choose("");
    row.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  controls.hidden = false;
  filter();

  // ---- enlarging
  const dialog = document.querySelector("dialog");
  const [large, caption] = [dialog.querySelector("img"), dialog.querySelector("p")];
  const pictures = Array.from(document.querySelectorAll(".pictures img"));
  let at = 0;
  const show = (number) => {
    at = (number + pictures.length) % pictures.length;
    large.src = pictures[at].src;
    large.alt = pictures[at].alt;
    caption.textContent = pictures[at].closest("figure").querySelector("figcaption").innerText || large.alt;
  };
  pictures.forEach((picture, number) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `Enlarge ${picture.alt}`);
    picture.replaceWith(button);
    button.append(picture);
    button.addEventListener("click", () => {
      show(number);
      dialog.showModal();
    });
  });
  dialog.querySelectorAll("button").forEach((button) => {
    const step = Number(button.dataset.step);
    button.addEventListener("click", () => (step ? show(at + step) : dialog.close()));
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) show(at + step);
  });
})();
