// When the focus leaves an open popover, Streamlit takes its controls out of the order of Tab, and no key leads back
// in. The focus leaves by Tab, by a click beside it, and also where the control that has it is drawn anew. Here the
// controls keep their places.

export function keepPopoversReachable() {
  addEventListener("focusout", ({ target }) => {
    const popover = target instanceof Element ? target.closest("[data-floating-ui-portal]") : null;
    /** @type {Iterable<HTMLElement>} */
    const controls = popover?.querySelectorAll("[data-tabindex]") ?? [];
    for (const control of controls) {
      const { tabindex } = control.dataset;
      delete control.dataset.tabindex;
      if (tabindex) control.setAttribute("tabindex", tabindex);
      else control.removeAttribute("tabindex");
    }
  });
}
