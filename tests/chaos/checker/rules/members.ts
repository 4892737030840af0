import type { Rule } from "../rule.js";
import { type Run, roomsStored } from "../run.js";

/** Who is a member at the end is who the answers said would be; counts, announcements and lists agree. */
export const members: Rule = (run, proofs) => [
  ...roomsStored(run).flatMap(({ room, row }) => {
    const users = new Set(run.stored.members.filter((one) => one.room === room).map(({ user }) => user));
    const end = Number.MAX_VALUE;
    const wrong = run.users
      .map((user) => ({ user, is: users.has(user), should: proofs.membership(room, user, end, end) }))
      .filter(({ is, should }) => should === (is ? "out" : "in"));
    return [
      ...wrong.map(({ user, should }) => `user ${user} should be ${should} of room ${room}, and is not`),
      ...(row && row.memberCount !== users.size
        ? [`room ${room} says that it has ${row.memberCount} members, and has ${users.size}`]
        : []),
    ];
  }),
  ...announced(run),
  ...listed(run),
];

/** Each change that was answered is announced once. */
function announced(run: Run): string[] {
  return [...run.rooms.keys()].flatMap((room) =>
    run.users.flatMap((user) => {
      const changes = run.changes.filter((change) => change.room === room && change.user === user);
      return (["in", "out"] as const).flatMap((to) => {
        const all = changes.filter((change) => change.to === to);
        const sure = all.filter(({ end }) => Number.isFinite(end)).length;
        const found = run.stored.messages.filter(
          (message) =>
            message.room === room &&
            message.targets.includes(user) &&
            (message.type === "SYSTEM_INVITE") === (to === "in"),
        ).length;
        if (found >= sure && found <= all.length) return [];
        return [`user ${user} went ${to} of room ${room} ${sure} times, announced ${found} times`];
      });
    }),
  );
}

/** The last list of each user has their rooms. */
function listed(run: Run): string[] {
  const lists = new Map<number, Set<number>>();
  for (const { call, answer } of run.calls)
    if (call.final && answer?.rooms)
      lists.set(
        call.user,
        new Set([...(lists.get(call.user) ?? []), ...answer.rooms.map(({ room }) => room)]),
      );
  return [...lists].flatMap(([user, list]) => {
    const own = run.stored.members.filter((member) => member.user === user).map(({ room }) => room);
    const wrong = [
      ...own.filter((room) => !list.has(room)),
      ...[...list].filter((room) => !own.includes(room)),
    ];
    return wrong.map((room) => `the last list of user ${user} is wrong about room ${room}`);
  });
}
