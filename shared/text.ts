import { z } from "zod";
export const DeviceId = z
  .string()
  .normalize("NFC")
  .refine((t) => /^[^\p{Cc}]{1,64}$/u.test(t), "must have 1 to 64 characters on one line");
