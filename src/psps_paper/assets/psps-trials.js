// A link to a trial's card (a.psps-trial) opens the card in place; without this script, or where the page of cards cannot
// be read, it leads there. On the page of cards itself, the card that the address names is opened and brought into view.
(() => {
  "use strict";

  const reveal = () => {
    const card = location.hash.startsWith("#ref-") && document.getElementById(location.hash.slice(1));
    const closed = card && card.closest("details.psps-card");
    if (!closed) return;
    closed.open = true;
    closed.scrollIntoView();
  };

  const pages = new Map(); // address of a page -> promise of its document
  const read = (address) => {
    if (!pages.has(address))
      pages.set(
        address,
        fetch(address).then(async (answer) => {
          if (!answer.ok) throw new Error(String(answer.status));
          return new DOMParser().parseFromString(await answer.text(), "text/html");
        }),
      );
    return pages.get(address);
  };

  const open = (card, address, link) => {
    const dialog = document.createElement("dialog");
    dialog.className = `psps-dialog ${card.className}`;
    const name = card.querySelector("summary strong").textContent;
    dialog.setAttribute("aria-label", name);
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    close.addEventListener("click", () => dialog.close());
    const whole = document.createElement("a");
    whole.href = address;
    whole.textContent = "Open its page";
    const bar = document.createElement("p");
    bar.className = "psps-dialog-bar";
    bar.append(whole, close);
    const heading = document.createElement("h2");
    heading.textContent = card.querySelector("summary").textContent.match(/^.*?\]/s)[0];
    const body = document.importNode(card.querySelector(".psps-card-body"), true);
    body.removeAttribute("id");
    for (const anchor of body.querySelectorAll("a[href]")) anchor.href = new URL(anchor.getAttribute("href"), address);
    dialog.append(bar, heading, body);
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      link.focus();
    });
    document.body.append(dialog);
    dialog.showModal();
    close.focus();
  };

  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a.psps-trial");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const address = new URL(link.href);
    const anchor = address.hash.slice(1);
    try {
      const page = await read(address.href.split("#")[0]);
      open(page.getElementById(anchor).closest("details.psps-card"), address.href, link);
    } catch {
      location.assign(link.href);
    }
  });
  addEventListener("hashchange", reveal);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", reveal);
  else reveal();
})();
