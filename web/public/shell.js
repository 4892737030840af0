// Before the page's own script: whether what is shown meanwhile looks like the chat or like the choice of a user.
try {
  if (sessionStorage.getItem("nonstop-user")) document.documentElement.dataset.begin = "session";
} catch {
  // A browser that keeps nothing begins with the choice.
}
if (/^#\/rooms\/[1-9]/.test(location.hash)) document.documentElement.dataset.beginView = "room";
