// Tells the page that opened this window how its login ended; another site's page never hears.
(() => {
  const { result, error, next, popup } = document.currentScript.dataset
  const opener = window.opener
  let isOurs = false
  try {
    isOurs = Boolean(opener) && !opener.closed && opener.location.origin === location.origin
  } catch {
    // The opener is of another site.
  }
  if (isOurs && (popup === "yes" || window.name === "wepay")) {
    opener.postMessage({ source: "flask-wepay", result, error: error || null }, location.origin)
    for (const link of document.querySelectorAll("[data-wepay-close]")) {
      link.addEventListener("click", event => {
        event.preventDefault()
        window.close()
      })
    }
    // An error's page says what to do next.
    if (result !== "error") window.close()
  } else if (result === "connected") {
    location.replace(next)
  }
})()
