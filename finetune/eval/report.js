// Narrows the table. The choice lives in the address (#filter=wrong&task=...), so that a view can be sent.
const form = document.getElementById("filters");
if (form) {
  const rows = [...document.querySelectorAll(".samples .row")];
  const count = document.getElementById("count");
  const fields = ["filter", "task", "category", "q"];

  const apply = () => {
    const { filter, task, category, q } = Object.fromEntries(fields.map((name) => [name, form.elements[name].value]));
    const word = q.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !(
        (filter === "all" || JSON.parse(row.dataset.marks).includes(filter)) &&
        (!task || row.dataset.task === task) &&
        (!category || row.dataset.category === category) &&
        (!word || row.textContent.toLowerCase().includes(word))
      );
      shown += !row.hidden;
    }
    count.value = `${shown} of ${rows.length}`;
  };

  const fromAddress = () => {
    const chosen = new URLSearchParams(location.hash.slice(1));
    for (const name of fields) {
      const field = form.elements[name];
      const value = chosen.get(name) ?? "";
      const known = field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value);
      field.value = known ? value : "";
      if (field.selectedIndex === -1) field.selectedIndex = 0;
    }
    apply();
  };

  form.addEventListener("input", () => {
    apply();
    const chosen = new URLSearchParams([...new FormData(form)].filter(([, value]) => value && value !== "all"));
    history.replaceState(null, "", chosen.size ? `#${chosen}` : location.pathname + location.search);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", fromAddress);
  fromAddress();
}
