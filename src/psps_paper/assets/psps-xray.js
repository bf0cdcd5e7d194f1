// What checking a printed number gave, in place: on hover, tap, or keyboard focus. Without this script each number is a
// link to its row, as it is with it from the popover.
//   a.claim[data-of]   the number; data-of, -place, -found, -against, -why say the rest, its class the verdict
(() => {
  "use strict";

  const narrow = matchMedia("(max-width: 37.5rem)");
  const pop = document.createElement("span");
  pop.className = "psps-pop";
  pop.id = "psps-verdict";
  let link = null; // the number whose popover is open
  let held = false; // opened by a press, so that leaving with the mouse does not close it
  let quiet = false; // focus comes back to a number whose popover was just closed
  let timer;

  const element = (tag, className, ...content) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...content);
    return made;
  };
  const row = (name, text) => element("span", "psps-pop-row", element("span", "", name), element("span", "", text));
  const anchor = (href, text) => {
    const made = element("a", "", text);
    made.href = href;
    return made;
  };
  const verdict = (claim) => [...claim.classList].find((name) => name.startsWith("verdict-"));

  const fill = (claim) => {
    const { of, place, found, against, why } = claim.dataset;
    const name = verdict(claim);
    const links = element("span", "psps-links", anchor(claim.href, "Permanent address"));
    if (name === "verdict-contradicts") links.append(anchor("reviewers.html#dispute-a-verdict", "Dispute this verdict"));
    pop.replaceChildren(
      element("span", "head", element("span", `verdict ${name}`, name.slice(8).replace("-", " "))),
      element("span", "", of[0].toUpperCase() + of.slice(1)),
      row("Printed", `${claim.textContent} (${place})`),
      row("Found", found),
      row("Checked against", against),
      row("Why", why),
      links,
    );
  };

  const placed = (claim) => {
    pop.style.left = pop.style.top = "0";
    if (narrow.matches) return; // a sheet at the foot of the screen
    const host = pop.offsetParent.getBoundingClientRect();
    const at = claim.getClientRects()[0];
    const size = pop.getBoundingClientRect();
    const room = document.documentElement.clientWidth - size.width - 16;
    const above = at.bottom + size.height + 8 > innerHeight && at.top - size.height > 120;
    pop.style.left = `${Math.max(8, Math.min(at.left, room)) - host.left}px`;
    pop.style.top = `${(above ? at.top - size.height - 6 : at.bottom + 6) - host.top}px`;
  };

  const close = (back) => {
    clearTimeout(timer);
    if (!link) return;
    const was = link;
    link = null;
    held = false;
    was.removeAttribute("aria-expanded");
    was.removeAttribute("aria-describedby");
    pop.remove();
    if (back) {
      quiet = true;
      was.focus();
      quiet = false;
    }
  };

  const open = (claim) => {
    clearTimeout(timer);
    if (link === claim) return;
    close();
    link = claim;
    fill(claim);
    claim.setAttribute("aria-expanded", "true");
    claim.setAttribute("aria-describedby", pop.id);
    claim.after(pop); // next in reading and in tab order
    placed(claim);
  };

  const leave = () => {
    if (!held) timer = setTimeout(close, 250);
  };

  document.querySelectorAll("a.claim[data-of]").forEach((claim) => {
    claim.addEventListener("mouseenter", () => !narrow.matches && !held && open(claim));
    claim.addEventListener("mouseleave", leave);
    claim.addEventListener("focus", () => !quiet && claim.matches(":focus-visible") && open(claim));
    claim.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const again = link === claim && held;
      close();
      if (again) return;
      open(claim);
      held = true;
    });
  });
  pop.addEventListener("mouseenter", () => clearTimeout(timer));
  pop.addEventListener("mouseleave", leave);
  pop.addEventListener("click", (event) => event.target.closest("a") && setTimeout(close));
  document.addEventListener("keydown", (event) => event.key === "Escape" && close(pop.contains(document.activeElement)));
  document.addEventListener("focusin", (event) => {
    if (link && event.target !== link && !pop.contains(event.target) && !event.target.matches("a.claim")) close();
  });
  document.addEventListener("pointerdown", (event) => {
    if (link && !pop.contains(event.target) && !event.target.closest("a.claim")) close();
  });

  // A browser that does not unfold what an address leads into
  const unfold = () => {
    let target = null;
    try {
      target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    } catch {
      // an address that names nothing that can be read
    }
    const folded = target && target.closest("details:not([open])");
    if (!folded) return;
    folded.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  unfold();
})();
