// What pages do beyond plain HTML: live progress, theme without a reload, whole rows to click, two keys.

const EVERY = 3000;

function followWork() {
  const place = document.querySelector("#work[data-jobs]");
  if (!place?.querySelector("[data-working]")) return;
  const seen = place.querySelector("[data-working]").dataset.working;
  const ask = async () => {
    try {
      const answer = await fetch(place.dataset.jobs, { headers: { Accept: "text/html" } });
      if (answer.ok) {
        place.innerHTML = await answer.text();
        const now = place.querySelector("[data-working]");
        // Something new can be shown: load the page again, unless someone is writing on it.
        if ((!now || now.dataset.working !== seen) && !document.querySelector("input:focus, textarea:focus")) {
          location.reload();
          return;
        }
      }
    } catch {
      // The server may be restarting; the next round tells.
    }
    setTimeout(ask, EVERY);
  };
  setTimeout(ask, EVERY);
}

function followJobs() {
  const place = document.querySelector("[data-jobs]:not(#work)");
  if (!place) return;
  const ask = async () => {
    if (!place.querySelector("[data-running]")) return;
    try {
      const answer = await fetch(place.dataset.jobs, { headers: { Accept: "text/html" } });
      if (answer.ok && !place.contains(document.activeElement)) place.innerHTML = await answer.text();
    } catch {
      // The server may be restarting; the next round tells.
    }
    setTimeout(ask, EVERY);
  };
  setTimeout(ask, EVERY);
}

function switchTheme() {
  const buttons = [...document.querySelectorAll("[data-theme-to]")];
  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const show = () => buttons.forEach((b) => { b.hidden = b.dataset.themeTo === (dark() ? "dark" : "light"); });
  buttons.forEach((button) => button.addEventListener("click", (event) => {
    event.preventDefault();
    document.documentElement.dataset.theme = button.dataset.themeTo;
    document.cookie = `bellwether_theme=${button.dataset.themeTo}; path=/; max-age=31536000; samesite=lax`;
    show();
    buttons.find((b) => !b.hidden)?.focus();
  }));
  show();
}

function wholeRows() {
  document.querySelectorAll("tr[data-row]").forEach((row) => row.addEventListener("click", (event) => {
    if (event.target.closest("a, button, input, summary") || getSelection()?.toString()) return;
    row.querySelector("th a, td a")?.click();
  }));
}

function keys() {
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      const search = document.querySelector("input[type=search]");
      if (search) { event.preventDefault(); search.focus(); }
    }
    if (event.key === "Escape") document.querySelectorAll("details[open]").forEach((d) => { d.open = false; });
  });
}

// Numbers that can be moved get a slider beside them; each move fetches the answer anew, drawn by the server.
function sliders() {
  document.querySelectorAll("form[data-piece]").forEach((form) => {
    const place = form.parentElement.querySelector("[aria-live]");
    let asked = 0;
    const ask = async () => {
      const mine = ++asked;
      const busy = setTimeout(() => { if (mine === asked) place.textContent = place.dataset.busy; }, 300);
      try {
        const answer = await fetch(`${form.dataset.piece}?${new URLSearchParams(new FormData(form))}`);
        if (answer.ok && mine === asked) place.innerHTML = await answer.text();
      } catch {
        form.submit();
      }
      clearTimeout(busy);
    };
    form.querySelectorAll("input[data-slider]").forEach((box) => {
      const slider = Object.assign(document.createElement("input"), {
        type: "range", min: box.min, max: box.max, step: box.step, value: box.value,
      });
      slider.setAttribute("aria-label", box.closest("label").querySelector("span").textContent);
      box.closest("label").before(slider);
      slider.addEventListener("input", () => { box.value = slider.value; });
      slider.addEventListener("change", ask);
      box.addEventListener("change", () => { slider.value = box.value; ask(); });
    });
    form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
  });
}

// On a low screen the page that is open may stand below the rail's end.
document.querySelector(".rail > ul:not(.bar) [aria-current]")?.scrollIntoView({ block: "nearest" });
followWork();
followJobs();
switchTheme();
wholeRows();
sliders();
keys();
