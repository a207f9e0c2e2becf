// Parts of a component's HTML.

/**
 * The element that a selector finds. Raises Error where the HTML has none.
 * @type {(root: ParentNode, selector: string) => HTMLElement}
 */
export function partOf(root, selector) {
  const found = root.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`no element ${selector}`);
  return found;
}

/**
 * The same, for an element that has interfaces of its own.
 * @template {Element} Kind
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function partOfKind(root, selector, kind) {
  const found = root.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`no element ${selector}`);
  return found;
}
