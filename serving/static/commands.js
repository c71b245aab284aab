// The command menu (Ctrl or ⌘ K), single-key shortcuts and their list; all of it can be done by links too.

const KEPT = "bellwether_keys";
const GO = { t: "/today", f: "/forecast", d: "/deals", l: "/leads", a: "/accounts" };
const menu = document.querySelector("dialog#commands");
const list = document.querySelector("dialog#keys");

function keysOn() {
  try { return localStorage.getItem(KEPT) !== "off"; } catch { return true; }
}

function entries() {
  const seen = new Set();
  return [...document.querySelectorAll("nav.rail a[href]")].filter((a) => {
    const fresh = !seen.has(a.getAttribute("href"));
    seen.add(a.getAttribute("href"));
    return fresh && !a.classList.contains("brand");
  }).map((a) => ({ text: a.textContent.trim(), href: a.getAttribute("href") }));
}

function openMenu() {
  if (menu.open) return;
  const box = menu.querySelector("input");
  const place = menu.querySelector("ul");
  const every = entries();
  const show = () => {
    const wish = box.value.trim().toLowerCase();
    const found = every.filter((entry) => entry.text.toLowerCase().includes(wish));
    if (wish) {
      found.push({ text: box.dataset.deals.replace("…", box.value.trim()), href: `/deals?q=${encodeURIComponent(box.value.trim())}` });
    }
    place.replaceChildren(...found.map((entry) => {
      const item = document.createElement("li");
      const link = Object.assign(document.createElement("a"), { href: entry.href, textContent: entry.text });
      item.append(link);
      return item;
    }));
  };
  box.value = "";
  box.oninput = show;
  show();
  menu.showModal();
  box.focus();
}

function along(event) {
  const links = [...menu.querySelectorAll("li a")];
  const at = links.indexOf(document.activeElement);
  if (event.key === "Enter" && document.activeElement.matches("input")) {
    event.preventDefault();
    links[0]?.click();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const next = at + (event.key === "ArrowDown" ? 1 : -1);
    (next < 0 ? menu.querySelector("input") : links[Math.min(next, links.length - 1)])?.focus();
  }
}

function alongRows(step) {
  const rows = [...document.querySelectorAll("main tr[data-row] th a, main tr[data-row] td a")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  rows[Math.min(Math.max(at + step, 0), rows.length - 1)].focus();
}

let waiting = false;
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    openMenu();
    return;
  }
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !event.target.closest("input, textarea, select")) {
    document.querySelector("button[data-undo]")?.click();
    return;
  }
  if (!keysOn() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, dialog")) return;
  if (waiting) {
    waiting = false;
    if (GO[event.key]) location.href = GO[event.key];
  } else if (event.key === "g") {
    waiting = true;
    setTimeout(() => { waiting = false; }, 1500);
  } else if (event.key === "j" || event.key === "k") {
    alongRows(event.key === "j" ? 1 : -1);
  } else if (event.key === "?") {
    list.showModal();
  }
});

if (menu && list) {
  menu.addEventListener("keydown", along);
  const opener = document.querySelector("button[data-commands]");
  opener.hidden = false;
  opener.addEventListener("click", openMenu);
  const off = list.querySelector("input[type=checkbox]");
  off.checked = keysOn();
  off.addEventListener("change", () => {
    try { localStorage.setItem(KEPT, off.checked ? "on" : "off"); } catch { /* then they stay on */ }
  });
  document.querySelectorAll("dialog button[data-close]").forEach((button) => {
    button.addEventListener("click", () => button.closest("dialog").close());
  });
}
