// How states are written, and which sign stands for each: colour is never alone.

export const STATES = {
  failed: ["✕", "failed"],
  not_restored: ["‼", "not restored"],
  restoring: ["↻", "restoring"],
  applying: ["▸", "applying"],
  soaking: ["◔", "soaking"],
  verified: ["✓", "verified"],
  healthy: ["●", "healthy"],
  waiting: ["·", "waiting"],
  untouched: ["·", "untouched"],
  restored: ["↩", "restored"],
  left_alone: ["=", "left alone"],
  excepted: ["!", "excepted"],
  bypassed: ["»", "bypassed"],
  unchanged: ["≡", "unchanged"],
  held: ["Ⅱ", "held"],
  quarantined: ["⊘", "quarantined"],
};

export const MEANING = {
  failed: "The target refused the change, or does not run it.",
  not_restored: "The rollback could not restore it.",
  restoring: "It gets back what it ran before.",
  applying: "The change is being applied.",
  soaking: "It runs the change and is observed.",
  verified: "It was read back from the target that it runs the change.",
  healthy: "It runs the change, soaked, and was judged healthy.",
  waiting: "Nothing was done to it so far.",
  untouched: "Nothing was done to it by this rollout.",
  restored: "It runs again what it ran before.",
  left_alone: "Somebody else changed it since: the rollback did not touch it.",
  excepted: "It failed within the channel's tolerance, and was restored.",
  bypassed: "This rollout leaves its channel out.",
  unchanged: "It runs the change already, as it graduated here before: nothing is applied, nothing soaks.",
  held: "It would be started next, but the rollout is held or the channel is frozen.",
  quarantined: "It is in quarantine and left out.",
};

export const STAGES = {
  waiting: ["·", "waiting"],
  not_reached: ["·", "not reached"],
  bypassed: ["»", "bypassed"],
  unchanged: ["≡", "unchanged"],
  held: ["Ⅱ", "held"],
  applying: ["▸", "applying"],
  soaking: ["◔", "soaking"],
  approval: ["?", "at its gate"],
  graduated: ["●", "graduated"],
  failed: ["✕", "failed"],
  rolling_back: ["↻", "rolling back"],
  rolled_back: ["↩", "rolled back"],
};

export const TONES = { done: "●", bad: "✕", busy: "▸", waits: "Ⅱ" };

/** Say what has become of a target, and that it had failed where its state does not say so. */
export function stateOf({ state, failed }) {
  const told = STATES[state][1];
  return failed && state !== "failed" ? `${told}, after it failed` : told;
}
