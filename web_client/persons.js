// Whose own model the next call runs on. Shown only where the server knows persons.

const KEY = "omnisync-person";
const byId = (id) => document.getElementById(id);

export class Persons extends EventTarget {
  constructor() {
    super();
    byId("person").addEventListener("change", () => {
      localStorage.setItem(KEY, this.chosen);
      this.dispatchEvent(new Event("change"));
    });
  }

  /** Name of the chosen person; "" for the model that fits any face. */
  get chosen() {
    return byId("person").value;
  }

  /** Fills the choice with the server's names; what was chosen before stays chosen if it is there. */
  offer(names) {
    const select = byId("person");
    const wanted = select.value || localStorage.getItem(KEY) || "";
    select.replaceChildren(new Option("Any face", ""), ...names.map((name) => new Option(name, name)));
    select.value = names.includes(wanted) ? wanted : "";
    byId("person-choice").hidden = names.length === 0;
  }
}
