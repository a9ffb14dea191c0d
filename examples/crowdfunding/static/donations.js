// Shows how it went when an organizer connects WePay in another window: the page stays as it is,
// but for the panel of donations.
(() => {
  const WORDS = {
    connected: "WePay is connected.",
    denied: "You did not connect WePay. You can do so whenever you like.",
    error: "That did not work. The other window says why.",
    closed: "",
  }
  const find = page => page.querySelector("[data-donations]")

  async function refresh() {
    const answer = await fetch(location.href)
    const page = new DOMParser().parseFromString(await answer.text(), "text/html")
    find(document).replaceWith(find(page))
    find(document).focus()
  }

  document.addEventListener("wepay", async event => {
    const { result } = event.detail
    // Whoever closed the window may have connected before.
    if (result === "connected" || result === "closed") await refresh()
    find(document).querySelector("[role=status]").textContent = WORDS[result]
  })
})()
