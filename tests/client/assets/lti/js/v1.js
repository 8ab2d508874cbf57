// The LTI page's join button, as docs/plugnmeet.md section 0.19 has it.

document.querySelector(".join").addEventListener("click", async () => {
  const response = await fetch("/lti/v1/api/room/join", {
    method: "POST",
    headers: { Authorization: TOKEN, "Content-Type": "application/json" },
    body: "{}",
  });
  const { token } = await response.json();
  const design = encodeURIComponent(window.DESIGN_CUSTOMIZATION);
  window.open(`${window.plugNmeetConfig.serverUrl}/?access_token=${token}&custom_design=${design}`, "_blank");
});
