// Runs before the page's own script. It decides whether index.html shows the surfaces of the chat or those of
// the choice of a user.
try {
  if (sessionStorage.getItem("nonstop-user")) document.documentElement.dataset.begin = "session";
} catch {
  // A browser that is set to keep nothing throws at each access: the page begins with the choice.
}
if (/^#\/rooms\/[1-9]/.test(location.hash)) document.documentElement.dataset.beginView = "room";
