// Opens a login in a window of its own where a link says so:
//
//   <a href="/wepay/login?next=/here" data-wepay-popup>Connect with WePay</a>
//
// and tells the document how it ended: an event "wepay", whose detail has
// result ("connected", "denied", "error" or "closed"), error (a class's name, or null) and link.
(() => {
  const LOOK_AFTER = 400 // milliseconds
  let login = null

  function tell({ link, text }, result, error = null) {
    if (result === "connected" && text && link.isConnected) {
      const state = document.createElement("span")
      state.className = link.className
      state.dataset.wepay = "connected"
      state.textContent = text
      link.replaceWith(state)
    }
    document.dispatchEvent(new CustomEvent("wepay", { detail: { result, error, link } }))
  }

  function stop() {
    clearInterval(login?.timer)
    login = null
  }

  function look() {
    // What it said last may still be on its way when it is closed.
    if (login.popup.closed && login.wasClosed) {
      const ended = login
      stop()
      if (!ended.failed) tell(ended, "closed")
    } else {
      login.wasClosed = login.popup.closed
    }
  }

  addEventListener("message", event => {
    if (!login || event.origin !== location.origin || event.source !== login.popup) return
    if (event.data?.source !== "flask-wepay") return
    const { result, error } = event.data
    const told = login
    if (result === "error") login.failed = true
    else stop()
    tell(told, result, error)
  })

  document.addEventListener("click", event => {
    const link = event.target.closest?.("a[data-wepay-popup]")
    if (!link || event.defaultPrevented || event.button) return
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
    const address = new URL(link.href)
    if (address.origin !== location.origin) return
    address.searchParams.set("display", "popup")
    const popup = window.open(address, "wepay", "popup,width=520,height=720")
    // Where windows are blocked the link leads to WePay and back by itself.
    if (!popup) return
    event.preventDefault()
    popup.focus()
    stop()
    const timer = setInterval(look, LOOK_AFTER)
    login = { popup, link, timer, text: link.dataset.wepayConnected, wasClosed: false, failed: false }
  })
})()
